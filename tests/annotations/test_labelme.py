"""LabelMe files of others, good and bad."""

import base64
import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.labelme import read_labelme
from keras_sam.annotations.record import record_to_mask

SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]
INSIDE = np.zeros((6, 9), bool)
INSIDE[1:3, 1:4] = True


def encoded(mask):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(**changes):
    return {"label": "box", "points": SQUARE, "shape_type": "polygon", "group_id": None} | changes


@pytest.fixture
def read(tmp_path):
    def read_shapes(*shapes, **changes):
        content = {"imagePath": "a.png", "imageHeight": 6, "imageWidth": 9, "shapes": shapes}
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content | changes))
        return read_labelme(path)

    return read_shapes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shape_type": None},
        {"shape_type": "oriented_rectangle"},
        {"shape_type": "rectangle", "points": [[4, 3], [1, 1]]},
        {"shape_type": "linestrip", "points": [*SQUARE, SQUARE[0]]},
        {"shape_type": "mask", "points": [[1, 1], [3, 2]], "mask": encoded(np.ones((2, 3)))},
        {"shape_type": "mask", "points": [[1.2, 0.8], [3, 2]], "mask": encoded(np.ones((2, 3)))},
    ],
)
def test_each_kind_of_shape(read, changes):
    (record,) = read(shape(**changes)).records
    assert record["category"] == "box"
    np.testing.assert_array_equal(record_to_mask(record), INSIDE)


def test_a_circle_holds_the_pixels_whose_centers_it_holds(read):
    (record,) = read(shape(shape_type="circle", points=[[4.5, 3], [6.5, 3]])).records
    y, x = np.mgrid[:6, :9] + 0.5
    np.testing.assert_array_equal(record_to_mask(record), np.hypot(x - 4.5, y - 3) <= 2)


def test_shapes_of_one_group_are_one_record(read):
    far = [[6, 4], [8, 4], [8, 5], [6, 5]]
    records = read(
        shape(group_id=3, predicted_iou=0.5),
        shape(label="other", group_id=3),
        shape(group_id=3, points=far, predicted_iou=0.25),
        shape(points=far),
    ).records
    assert [record["area"] for record in records] == [8, 6, 2]
    assert [record.get("predicted_iou") for record in records] == [0.5, None, None]


def test_shapes_without_an_area_are_left_out_with_a_warning(read):
    with pytest.warns(UserWarning, match=r"a\.json: .* left out: line, point"):
        image = read(
            shape(shape_type="point", points=[[1, 1]]),
            shape(shape_type="line", points=[[1, 1], [2, 2]]),
            shape(),
        )
    assert len(image.records) == 1


def test_a_patch_is_cut_off_at_the_border(read):
    patch = np.arange(12).reshape(3, 4) % 2
    (record,) = read(
        shape(shape_type="mask", points=[[-1, 4], [2, 6]], mask=encoded(patch))
    ).records
    expected = np.zeros((6, 9), bool)
    expected[4:6, 0:3] = patch[:2, 1:]
    np.testing.assert_array_equal(record_to_mask(record), expected)
    (record,) = read(
        shape(shape_type="mask", points=[[-50, -50], [2, 6]], mask=encoded(patch))
    ).records
    assert record["area"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "label"),
        ({"label": 5}, "label"),
        ({"group_id": "a"}, "group_id"),
        ({"group_id": True}, "group_id"),
        ({"shape_type": "spline"}, "shape_type"),
        ({"shape_type": ["polygon"]}, "shape_type"),
        ({"points": None}, "points"),
        ({"points": []}, "points"),
        ({"points": [[1, 1], [2, 2]]}, "at least 3 points, got 2"),
        ({"points": [[1, 1], [2, 2], [3]]}, "points"),
        ({"points": [[1, 1], [2, "2"], [3, 3]]}, "points"),
        ({"points": [[1, 1], [2, None], [3, 3]]}, "points"),
        ({"points": [[1, 1], [2, 1e300], [3, 3]]}, "finite"),
        ({"points": [[1, 1], [2, 10**400], [3, 3]]}, "points"),
        ({"shape_type": "circle"}, "2 points, got 4"),
        ({"shape_type": "circle", "points": [[1e300, 0], [0, 0]]}, "within"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]]}, "base64"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "%%"}, "PNG"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "AAAA"}, "PNG"),
        (
            {"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": encoded(np.ones((60, 60)))},
            "60 x 60",
        ),
        (
            {"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": encoded(np.ones((2, 2, 3)))},
            "one channel",
        ),
        ({"predicted_iou": "high"}, "predicted_iou"),
    ],
)
def test_malformed_shapes_are_refused(read, changes, message):
    with pytest.raises(ValueError, match=rf"shape 1 of a\.json: .*{message}"):
        read(shape(), shape(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": None}, "shapes"),
        ({"shapes": [None]}, "dictionary"),
        ({"imageHeight": None}, "imageHeight"),
        ({"imageWidth": "9"}, "imageHeight"),
        ({"imageHeight": 10**6, "imageWidth": 10**6}, "allowed"),
        ({"imagePath": None}, "imagePath"),
        ({"imagePath": ""}, "imagePath"),
    ],
)
def test_malformed_files_are_refused(read, changes, message):
    with pytest.raises(ValueError, match=message):
        read(**changes)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.json is not"):
        read_labelme(path)
    with pytest.raises(FileNotFoundError):
        read_labelme(tmp_path / "none.json")
    with pytest.raises(TypeError, match="path"):
        read_labelme(None)


def test_a_file_without_such_shapes_warns_of_nothing(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read().records == []
