"""YOLO labels, filled again as in training."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as arrays

from keras_sam.annotations.mask_record import AnnotatedImage, mask_to_record
from keras_sam.annotations.yolo import write_yolo
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
