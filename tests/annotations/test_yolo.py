"""YOLO labels, filled again as in training."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays

from keras_sam.annotations.mask_record import AnnotatedImage, mask_to_record
from keras_sam.annotations.yolo import read_yolo, read_yolo_categories, write_yolo
from keras_sam.masks.polygons_to_mask import polygons_to_mask

MASK = np.random.default_rng(0).random((30, 41)) < 0.6


def decode_line(line, size):
    category, *fractions = line.split()
    corners = np.array(fractions, np.float64).reshape(-1, 2)
    assert len(corners) >= 3
    assert ((corners >= 0) & (corners <= 1)).all()
    return int(category), polygons_to_mask([corners * size[::-1]], size)


def test_each_mask_is_one_line(tmp_path):
    records = [mask_to_record(MASK), mask_to_record(~MASK, category="a: b"), mask_to_record(MASK)]
    image = AnnotatedImage("train/photo.one.jpg", MASK.shape, records)
    (path,) = write_yolo([image], tmp_path / "set")
    assert path == tmp_path / "set" / "labels" / "train" / "photo.one.txt"
    labels = [decode_line(line, MASK.shape) for line in path.read_text().splitlines()]
    assert [category for category, _ in labels] == [0, 1, 0]
    for (_, mask), expected in zip(labels, (MASK, ~MASK, MASK), strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert (tmp_path / "set" / "data.yaml").read_text() == (
        'train: images\nval: images\nnames:\n  0: "object"\n  1: "a: b"\n'
    )


@given(mask=arrays.arrays(bool, (7, 11)))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_mask_is_exact(tmp_path, mask):
    (path,) = write_yolo([AnnotatedImage("a.png", (7, 11), [mask_to_record(mask)])], tmp_path)
    lines = path.read_text().splitlines()
    assert len(lines) == mask.any()
    for line in lines:
        np.testing.assert_array_equal(decode_line(line, (7, 11))[1], mask)


def test_six_decimals_are_exact_for_a_wide_image(tmp_path):
    mask = np.zeros((3, 99_991), bool)
    mask[1, 77_777:77_779] = mask[0, 1] = mask[2, -1] = True
    (path,) = write_yolo([AnnotatedImage("a.png", mask.shape, [mask_to_record(mask)])], tmp_path)
    np.testing.assert_array_equal(decode_line(path.read_text(), mask.shape)[1], mask)


def test_image_without_masks_has_an_empty_file(tmp_path):
    paths = write_yolo([AnnotatedImage("a.png", (3, 4)), AnnotatedImage("b.png", (3, 4))], tmp_path)
    assert [path.read_text() for path in paths] == ["", ""]
    assert write_yolo([], tmp_path) == []


@pytest.mark.parametrize("name", ["/a.png", "../a.png", "x/../../a.png", ".."])
def test_file_name_outside_the_folder_raises(tmp_path, name):
    with pytest.raises(ValueError, match="inside the image folder"):
        write_yolo([AnnotatedImage(name, (3, 4))], tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_shared_label_file_raises(tmp_path):
    with pytest.raises(ValueError, match="share a label file"):
        write_yolo([AnnotatedImage("a.png", (3, 4)), AnnotatedImage("a.jpg", (3, 4))], tmp_path)


def test_polygon_tolerance_drops_corners(tmp_path):
    y, x = np.mgrid[:60, :60]
    image = AnnotatedImage("a.png", (60, 60), [mask_to_record(np.hypot(x - 30, y - 30) < 25)])
    num_values = []
    for tolerance in (0, 1):
        (path,) = write_yolo([image], tmp_path, polygon_tolerance=tolerance)
        num_values.append(len(path.read_text().split()))
    assert 7 <= num_values[1] < num_values[0] / 2


@given(mask=arrays.arrays(bool, (7, 11)))
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_read_masks_equal_the_written_ones(tmp_path, mask):
    records = [mask_to_record(mask, category="a: b"), mask_to_record(MASK[:7, :11], category="#c")]
    (path,) = write_yolo([AnnotatedImage("a.png", (7, 11), records)], tmp_path)
    categories = read_yolo_categories(tmp_path / "data.yaml")
    assert categories == ["a: b", "#c"]
    labels = read_yolo(path, (7, 11), categories=categories)
    expected = [("a: b", mask)] * bool(mask.any()) + [("#c", MASK[:7, :11])]
    assert [label.category for label in labels] == [category for category, _ in expected]
    for label, (_, written) in zip(labels, expected, strict=True):
        np.testing.assert_array_equal(label.mask(), written)


def test_unnamed_category_is_its_index(tmp_path):
    (tmp_path / "a.txt").write_text("\n7 0 0 1 0 1 1\n\n")
    (label,) = read_yolo(tmp_path / "a.txt", (4, 4), categories=["cell"])
    assert label.category == "7"
    np.testing.assert_array_equal(label.mask(), polygons_to_mask([MASK_CORNERS], (4, 4)))


MASK_CORNERS = np.array([[0, 0], [4, 0], [4, 4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"0 .5 .5 .1 .1",
            "line 1 of a.txt: expected a class and at least three corners x y, "
            "got 5 values of a box",
        ),
        (b"0 0 0 1 0 1 1\n0 0 0 1 0 1 1 0", "line 2 of a.txt: .* got 8 values"),
        (b"0 0 0 1 x 1 1", "line 1 of a.txt: expected numbers"),
        (b"0 0 0 1 nan 1 1", "corners must be fractions of the image"),
        (b"0 0 0 640 0 640 480", "corners must be fractions of the image"),
        (b"-1 0 0 1 0 1 1", "the class must be a whole number of at least 0, got -1"),
        (b"inf 0 0 1 0 1 1", "the class must be a whole number of at least 0, got inf"),
        (b"\xff\xfe\0", "a.txt is not a text file"),
    ],
)
def test_malformed_label_file_raises(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_yolo(tmp_path / "a.txt", (4, 4))


def test_too_large_label_file_raises(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_sam.annotations.yolo.MAX_LABEL_BYTES", 3)
    (tmp_path / "a.txt").write_text("0 0 0 1")
    with pytest.raises(ValueError, match=r"a.txt is larger than 3 bytes"):
        read_yolo(tmp_path / "a.txt", (4, 4))
    with pytest.raises(FileNotFoundError, match="there is no file at"):
        read_yolo(tmp_path / "b.txt", (4, 4))


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("names: ['a', \"b c\"]", ["a", "b c"]),
        ("nc: 2\nnames:\n- a\n- 3\n", ["a", "3"]),
        ("names:\n  1: b\n  0: a\n", ["a", "b"]),
        ("train: x", []),
    ],
)
def test_names_of_categories(tmp_path, content, names):
    (tmp_path / "data.yaml").write_text(content)
    assert read_yolo_categories(tmp_path / "data.yaml") == names
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n")
    assert read_yolo_categories(tmp_path / "classes.txt") == names


@pytest.mark.parametrize(
    "content",
    [
        "names: [",
        "names: {1: a}",
        "names: [[a]]",
        "names: a",
        "- a",
        "[" * 5000,
        "names: !!python/object/apply:os.getcwd []",
    ],
)
def test_malformed_names_raise(tmp_path, content):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"data.yaml"):
        read_yolo_categories(tmp_path / "data.yaml")
