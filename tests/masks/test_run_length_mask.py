"""Masks as runs against the same operations on pixels, and against pycocotools."""

import itertools

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from keras_sam.masks.measures import mask_iou, mask_to_box, mask_to_coco_rle
from keras_sam.masks.rle_counts import read_counts, write_counts
from keras_sam.masks.run_length_mask import (
    coco_rle_to_runs,
    mask_to_runs,
    runs_iou,
    runs_to_coco_rle,
    runs_to_mask,
    unite_runs,
)


def random_masks(count, size=None):
    random = np.random.default_rng(0)
    for index in range(count):
        shape = size or random.integers(1, 30, 2)
        yield random.random(shape) < (0, 1, random.random())[min(index, 2)]


def test_masks_there_and_back():
    for mask in random_masks(40):
        height, width = mask.shape
        runs = mask_to_runs(mask)
        np.testing.assert_array_equal(runs_to_mask(runs, (0, 0, width, height)), mask)
        assert runs.area == mask.sum()
        assert runs.box == tuple(mask_to_box(mask))


def test_an_rle_is_that_of_pycocotools():
    for mask in random_masks(40):
        rle = runs_to_coco_rle(mask_to_runs(mask), mask.shape)
        assert rle == mask_to_coco_rle(mask)
        back = coco_rle_to_runs(rle)
        np.testing.assert_array_equal(runs_to_mask(back, (0, 0, *mask.shape[::-1])), mask)


def test_empty_runs_of_an_rle_are_no_runs():
    runs = coco_rle_to_runs({"size": [4, 2], "counts": [0, 1, 0, 2, 2, 0, 3]})
    assert (runs.tops.tolist(), runs.bottoms.tolist()) == ([0], [3])


def test_parts_unions_and_overlap():
    masks = list(random_masks(12, (9, 14)))
    for mask, other in itertools.pairwise(masks):
        runs, others = mask_to_runs(mask), mask_to_runs(other)
        part = runs_to_mask(runs.within((3, 2, 12, 7)), (0, 0, 14, 9))
        expected = np.zeros_like(mask)
        expected[2:7, 3:12] = mask[2:7, 3:12]
        np.testing.assert_array_equal(part, expected)
        np.testing.assert_array_equal(runs_to_mask(runs, (3, 2, 12, 7)), mask[2:7, 3:12])
        united = unite_runs([runs, others, runs])
        np.testing.assert_array_equal(runs_to_mask(united, (0, 0, 14, 9)), mask | other)
        assert runs_to_coco_rle(united, (9, 14)) == mask_to_coco_rle(mask | other)
        assert runs_iou(runs, others) == pytest.approx(float(mask_iou(mask, other)))


def test_a_moved_mask_in_an_image_that_no_array_holds():
    size = (700_000, 700_000)  # 0.49 of the terapixel below the limit
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    runs = mask_to_runs(mask).moved(600_000, 500_000)
    rle = runs_to_coco_rle(runs, size)
    assert len(rle["counts"]) < 2_000
    back = coco_rle_to_runs(rle)
    np.testing.assert_array_equal(runs_to_mask(back, (600_000, 500_000, 600_030, 500_020)), mask)
    assert back.area == mask.sum()


def test_strings_are_those_of_pycocotools():
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 50, 300):
        runs = random.integers(0, 2 ** random.integers(1, 26, size), endpoint=True)
        runs[0] += 1
        theirs = coco_mask.frPyObjects(
            {"size": [int(runs.sum()), 1], "counts": runs.tolist()}, int(runs.sum()), 1
        )
        assert write_counts(runs) == theirs["counts"].decode()
        np.testing.assert_array_equal(read_counts(write_counts(runs)), runs)


@pytest.mark.parametrize(
    ("rle", "match"),
    [
        ({"counts": [4]}, "dictionary with"),
        ({"size": [2, 2], "counts": [1, 2]}, "do not fill"),
        ({"size": [2, 2.0], "counts": [4]}, "whole pixels"),
        ({"size": [2**20, 2**20], "counts": [2**38]}, "at most 549755813887 pixels"),
    ],
)
def test_malformed_rles_are_refused(rle, match):
    with pytest.raises(ValueError, match=match):
        coco_rle_to_runs(rle)


def test_a_mask_outside_its_image_is_refused():
    runs = mask_to_runs(np.ones((2, 2), bool))
    for moved in (runs.moved(3, 0), runs.moved(0, -1)):
        with pytest.raises(ValueError, match="not in an image of size"):
            runs_to_coco_rle(moved, (4, 4))
