"""Masks against pycocotools and SciPy."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scipy.ndimage import distance_transform_edt

from keras_sam.masks.measures import (
    coco_rle_to_mask,
    mask_interior_point,
    mask_iou,
    mask_to_box,
    mask_to_coco_rle,
    stability_score,
)


def random_masks(count):
    random = np.random.default_rng(0)
    for _ in range(count):
        yield random.random(random.integers(1, 40, 2)) < random.random()


def test_rle_there_and_back():
    for mask in random_masks(40):
        rle = mask_to_coco_rle(mask)
        np.testing.assert_array_equal(coco_rle_to_mask(rle), mask)
        np.testing.assert_array_equal(coco_rle_to_mask(rle), coco_mask.decode(rle))


def test_uncompressed_rle_runs_down_the_columns():
    mask = coco_rle_to_mask({"size": [2, 3], "counts": [1, 2, 3]})
    np.testing.assert_array_equal(mask, [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    "counts",
    [
        [1, 2],
        [7, -1],
        [],
        [6.0],
        [None, 6],
        ["6"],
        [[6]],
        [True, 5],
        [10**30],
        "~~~",
        "1o",
        "",
        b"",
        5,
        None,
        {},
        bytearray(b"6"),
    ],
    ids=repr,
)
def test_damaged_rle_is_refused(counts):
    with pytest.raises(ValueError, match="RLE"):
        coco_rle_to_mask({"size": [2, 3], "counts": counts})


@pytest.mark.parametrize(
    "size",
    [None, 6, "23", ["2", "3"], [2.0, 3.0], [2], [2, 3, 1], [0, 6], [True, 6], {2: 3, 3: 2}],
    ids=repr,
)
def test_an_rle_of_no_size_is_refused(size):
    with pytest.raises(ValueError, match=r"an RLE's size is \[height, width\]"):
        coco_rle_to_mask({"size": size, "counts": [6]})


@pytest.mark.parametrize("rle", [None, 5, "abc", bytearray(b"6"), [], {"size": [2, 3]}], ids=repr)
def test_what_is_no_rle_is_refused(rle):
    with pytest.raises(ValueError, match="an RLE is a dictionary"):
        coco_rle_to_mask(rle)


def test_a_huge_rle_is_refused_before_it_is_decoded():
    with pytest.raises(ValueError, match="at most"):
        coco_rle_to_mask({"size": [10**9, 10**9], "counts": [10**18]})


def test_deepest_point_is_the_distance_transforms():
    for mask in random_masks(40):
        if mask.any():
            inside = np.rint(distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] ** 2)
            y, x = np.unravel_index(inside.argmax(), inside.shape)
            assert mask_interior_point(mask) == (x, y)


def test_box_iou_and_stability():
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    np.testing.assert_array_equal(mask_to_box(mask), [2, 1, 7, 4])
    other = np.zeros_like(mask)
    other[1:4, 2:4] = True
    assert mask_iou(mask, other) == pytest.approx(6 / 15)
    assert stability_score(np.array([[-2.0, 0.5], [2.0, 3.0]])) == pytest.approx(2 / 3)
