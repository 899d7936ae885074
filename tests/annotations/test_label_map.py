"""Label maps: overlaps, and files."""

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.label_map import (
    label_map_to_records,
    read_label_map,
    records_to_label_map,
    write_label_map,
)
from keras_sam.annotations.mask_record import mask_to_record, record_to_mask

LARGE, SMALL = np.ones((3, 4), bool), np.zeros((3, 4), bool)
SMALL[1, 1:3] = True


@pytest.mark.parametrize(
    ("masks", "overlap_priority", "center_label"),
    [
        ([LARGE, SMALL], "small", 2),
        ([SMALL, LARGE], "small", 1),
        ([LARGE, SMALL], "large", 1),
        ([LARGE, SMALL], "first", 1),
        ([LARGE, SMALL], "last", 2),
        ([SMALL, SMALL], "small", 1),
        ([SMALL, SMALL], "large", 1),
    ],
)
def test_overlap_priority(masks, overlap_priority, center_label):
    records = [mask_to_record(mask) for mask in masks]
    labels = records_to_label_map(records, (3, 4), overlap_priority=overlap_priority)
    assert labels[1, 1] == center_label


@pytest.mark.parametrize("overlap_priority", ["small", "large", "first", "last"])
def test_overlaps_equal_a_choice_by_pixel(overlap_priority):
    masks = np.random.default_rng(0).random((6, 8, 10)) < 0.4
    areas = masks.sum(axis=(1, 2))
    keys = {
        "small": lambda index: (areas[index], index),
        "large": lambda index: (-areas[index], index),
        "first": lambda index: index,
        "last": lambda index: -index,
    }
    expected = np.zeros((8, 10), int)
    for y, x in np.ndindex(8, 10):
        indices = np.flatnonzero(masks[:, y, x])
        if len(indices):
            expected[y, x] = min(indices, key=keys[overlap_priority]) + 1
    records = [mask_to_record(mask) for mask in masks]
    labels = records_to_label_map(records, (8, 10), overlap_priority=overlap_priority)
    np.testing.assert_array_equal(labels, expected)


def test_masks_without_overlap_are_exact():
    labels = np.random.default_rng(0).integers(0, 6, (20, 30))
    labels[labels == 3] = 0
    records = label_map_to_records(labels)
    assert [record["area"] for record in records] == [
        np.count_nonzero(labels == value) for value in (1, 2, 4, 5)
    ]
    for value, record in zip((1, 2, 4, 5), records, strict=True):
        np.testing.assert_array_equal(record_to_mask(record), labels == value)
    again = label_map_to_records(records_to_label_map(records, (20, 30)))
    assert again == records


def test_no_records_and_no_labels():
    labels = records_to_label_map([], (3, 4))
    assert (labels.shape, labels.dtype, labels.any()) == ((3, 4), np.int32, False)
    assert label_map_to_records(labels) == []


@pytest.mark.parametrize(
    ("max_label", "suffix", "dtype"),
    [(255, ".png", "uint8"), (65_535, ".png", "uint16"), (65_536, ".npy", "int32")],
)
def test_written_file_is_read_back(tmp_path, max_label, suffix, dtype):
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    labels[2, 3] = max_label
    path = write_label_map(labels, tmp_path / "labels.png")
    assert path.name == f"labels{suffix}"
    back = read_label_map(path)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, labels)


def test_palette_and_bilevel_images_are_read_as_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 7], [2, 0]], np.uint8), "P")
    image.putpalette([9] * 768)
    image.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "palette.png"), [[0, 7], [2, 0]])
    Image.fromarray(np.eye(3, dtype=bool)).save(tmp_path / "bilevel.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "bilevel.png"), np.eye(3))


def test_equal_channels_are_read_as_one(tmp_path):
    labels = np.array([[0, 7], [255, 0]], np.uint8)
    Image.fromarray(np.stack([labels] * 3, -1)).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "rgb.png"), labels)


def test_other_file_raises(tmp_path):
    Image.new("RGB", (3, 4), "red").save(tmp_path / "color.png")
    (tmp_path / "text.png").write_text("labels")
    (tmp_path / "text.npy").write_text("labels")
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    np.save(tmp_path / "floats.npy", np.zeros((2, 2)))
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2), int))
    (tmp_path / "short.npy").write_bytes((tmp_path / "cube.npy").read_bytes()[:-9])
    for name in (
        "color.png",
        "text.png",
        "text.npy",
        "objects.npy",
        "floats.npy",
        "cube.npy",
        "short.npy",
    ):
        with pytest.raises(ValueError, match=name):
            read_label_map(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_label_map(tmp_path / "none.png")
    with pytest.raises(TypeError, match="path"):
        read_label_map(None)


@pytest.mark.parametrize("name", ["large.png", "large.npy"])
def test_map_above_max_pixels_raises(tmp_path, name):
    write_label_map(np.ones((30, 40), np.uint8), tmp_path / name)
    assert read_label_map(tmp_path / name, max_pixels=1200).all()
    with pytest.raises(ValueError, match="1199 allowed"):
        read_label_map(tmp_path / name, max_pixels=1199)


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros((2, 2)), np.zeros((0, 2), int)])
def test_writing_other_arrays_raises(tmp_path, labels):
    with pytest.raises(ValueError, match="label map"):
        write_label_map(labels, tmp_path / "labels.png")


def test_writing_a_negative_label_raises(tmp_path):
    with pytest.raises(ValueError, match="at least 0"):
        write_label_map(np.array([[-1]]), tmp_path / "labels.png")


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="overlap_priority"):
        records_to_label_map([], (3, 4), overlap_priority="best")
    with pytest.raises(ValueError, match="size"):
        records_to_label_map([], (3, 0))
    with pytest.raises(ValueError, match="size"):
        records_to_label_map([mask_to_record(SMALL)], (4, 3))
    with pytest.raises(ValueError, match="whole numbers"):
        label_map_to_records(np.zeros((2, 2)))
