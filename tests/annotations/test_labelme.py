"""LabelMe files: those that LabelMe writes, and our own."""

import base64
import io
import json
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from keras_sam.annotations.labelme import SHAPE_FORMATS, read_labelme, write_labelme
from keras_sam.annotations.mask_record import AnnotatedImage, mask_to_record, record_to_mask

SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]
SQUARE_MASK = np.zeros((6, 9), bool)
SQUARE_MASK[1:3, 1:4] = True
SCORES = {"predicted_iou": 0.1 + 0.2, "point_coords": [[1.5, 2.0]], "stability_score": 1 / 3}
MASK = np.random.default_rng(0).random((6, 9)) < 0.5


def encode_png(mask):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(**changes):
    return {"label": "box", "points": SQUARE, "shape_type": "polygon", "group_id": None} | changes


def annotated_image(*records):
    return AnnotatedImage("../photos/ä.png", (6, 9), list(records))


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
        {"shape_type": "mask", "points": [[1, 1], [3, 2]], "mask": encode_png(np.ones((2, 3)))},
        {"shape_type": "mask", "points": [[1.2, 0.8], [3, 2]], "mask": encode_png(np.ones((2, 3)))},
    ],
)
def test_each_shape_type(read, changes):
    (record,) = read(shape(**changes)).records
    assert record["category"] == "box"
    np.testing.assert_array_equal(record_to_mask(record), SQUARE_MASK)


def test_circle_contains_the_pixels_whose_centers_are_inside(read):
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


def test_shapes_without_an_area_are_skipped_with_a_warning(read):
    with pytest.warns(UserWarning, match=r"a\.json: skipped shapes without an area: line, point"):
        image = read(
            shape(shape_type="point", points=[[1, 1]]),
            shape(shape_type="line", points=[[1, 1], [2, 2]]),
            shape(),
        )
    assert len(image.records) == 1


def test_no_warning_without_skipped_shapes(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read().records == []


def test_mask_shape_is_clipped_to_the_image(read):
    patch = np.arange(12).reshape(3, 4) % 2
    (record,) = read(
        shape(shape_type="mask", points=[[-1, 4], [2, 6]], mask=encode_png(patch))
    ).records
    expected = np.zeros((6, 9), bool)
    expected[4:6, 0:3] = patch[:2, 1:]
    np.testing.assert_array_equal(record_to_mask(record), expected)
    (record,) = read(
        shape(shape_type="mask", points=[[-50, -50], [2, 6]], mask=encode_png(patch))
    ).records
    assert record["area"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "label"),
        ({"label": 5}, "label"),
        ({"group_id": "a"}, "group_id"),
        ({"group_id": True}, "group_id"),
        ({"shape_type": "spline"}, "shape_type must be one of polygon, .*, got 'spline'"),
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
            {
                "shape_type": "mask",
                "points": [[0, 0], [1, 1]],
                "mask": encode_png(np.ones((60, 60))),
            },
            "60 x 60",
        ),
        (
            {
                "shape_type": "mask",
                "points": [[0, 0], [1, 1]],
                "mask": encode_png(np.ones((2, 2, 3))),
            },
            "one channel",
        ),
        ({"predicted_iou": "high"}, "predicted_iou"),
    ],
)
def test_malformed_shape_raises(read, changes, message):
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
def test_malformed_file_raises(read, changes, message):
    with pytest.raises(ValueError, match=message):
        read(**changes)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\xff"])
def test_other_file_raises(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.json is not"):
        read_labelme(path)


def test_missing_file_and_wrong_path_type_raise(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_labelme(tmp_path / "none.json")
    with pytest.raises(TypeError, match="path"):
        read_labelme(None)


@pytest.mark.parametrize("format", SHAPE_FORMATS)
def test_written_records_are_read_back_exactly(tmp_path, format):
    image = annotated_image(
        mask_to_record(MASK, **SCORES),
        mask_to_record(MASK, category="chair"),
        mask_to_record(~MASK),
    )
    write_labelme(image, tmp_path / "ä.json", format=format)
    assert read_labelme(tmp_path / "ä.json") == image


@given(mask=arrays.arrays(bool, (6, 9)), format=st.sampled_from(SHAPE_FORMATS))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_mask_is_exact_and_empty_ones_are_skipped(tmp_path, mask, format):
    image = annotated_image(mask_to_record(mask, **SCORES))
    write_labelme(image, tmp_path / "a.json", format=format)
    assert list(read_labelme(tmp_path / "a.json").records) == list(image.records)[: int(mask.any())]


def test_file_content_matches_labelme(tmp_path):
    write_labelme(annotated_image(mask_to_record(MASK)), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert (content["imageHeight"], content["imageWidth"]) == (6, 9)
    assert content["imageData"] is None
    assert content["imagePath"] == "../photos/ä.png"
    assert {shape["group_id"] for shape in content["shapes"]} == {0}
    assert {shape["shape_type"] for shape in content["shapes"]} == {"polygon"}
    for item in content["shapes"]:
        assert all(isinstance(value, float) for point in item["points"] for value in point)


def test_mask_shape_is_a_png_of_its_box(tmp_path):
    mask = np.zeros((6, 9), bool)
    mask[2:4, 3:8] = True
    write_labelme(annotated_image(mask_to_record(mask)), tmp_path / "a.json", format="masks")
    (item,) = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert (item["shape_type"], item["group_id"]) == ("mask", None)
    assert item["points"] == [[3, 2], [7, 3]]
    with Image.open(io.BytesIO(base64.b64decode(item["mask"]))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (5, 2))
        assert np.array(image).all()


def test_polygon_tolerance_drops_points(tmp_path):
    y, x = np.mgrid[:60, :60]
    disc = mask_to_record(np.hypot(x - 30, y - 30) < 25)
    num_points = []
    for tolerance in (0, 1):
        image = AnnotatedImage("a.png", (60, 60), [disc])
        write_labelme(image, tmp_path / "a.json", polygon_tolerance=tolerance)
        (item,) = json.loads((tmp_path / "a.json").read_text())["shapes"]
        num_points.append(len(item["points"]))
    assert 3 <= num_points[1] < num_points[0] / 2


def test_no_records(tmp_path):
    write_labelme(annotated_image(), tmp_path / "a.json")
    assert read_labelme(tmp_path / "a.json") == annotated_image()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "lines"}, "format must be one of polygons, masks, got 'lines'"),
        ({"format": "masks", "polygon_tolerance": 1}, "polygon_tolerance needs format='polygons'"),
    ],
)
def test_wrong_options_raise(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_labelme(annotated_image(), tmp_path / "a.json", **options)
    assert list(tmp_path.iterdir()) == []
