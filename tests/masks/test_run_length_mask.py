"""Masks as runs, against the same operations on pixels."""

import itertools

import numpy as np
import pytest

from keras_sam.masks.measures import mask_iou, mask_to_box
from keras_sam.masks.run_length_mask import (
    RunLengthMask,
    intersection_area,
    mask_to_runs,
    runs_iou,
    runs_to_mask,
)


def random_masks(count, size=None):
    random = np.random.default_rng(0)
    for index in range(count):
        shape = size or random.integers(1, 30, 2)
        yield random.random(shape) < (0, 1, random.random())[min(index, 2)]


def test_conversion_to_runs_and_back_restores_the_mask():
    for mask in random_masks(40):
        height, width = mask.shape
        runs = mask_to_runs(mask)
        np.testing.assert_array_equal(runs_to_mask(runs, (0, 0, width, height)), mask)
        assert runs.area == mask.sum()
        assert runs.box == tuple(mask_to_box(mask))


def test_runs_of_a_column_do_not_touch():
    runs = mask_to_runs(np.array([[1, 1], [1, 0], [0, 1]]))
    assert runs.columns.tolist() == [0, 1, 1]
    assert (runs.tops.tolist(), runs.bottoms.tolist()) == ([0, 0, 2], [2, 1, 3])


@pytest.mark.parametrize("box", [(3, 2, 12, 7), (0, 0, 14, 9), (-2, -3, 5, 20), (4, 4, 4, 6)])
def test_cropped_to_a_box(box):
    x0, y0, x1, y1 = box
    for mask in random_masks(6, (9, 14)):
        padded = np.pad(mask, 20)
        part = np.zeros_like(padded)
        part[20 + y0 : 20 + y1, 20 + x0 : 20 + x1] = padded[20 + y0 : 20 + y1, 20 + x0 : 20 + x1]
        runs = mask_to_runs(mask)
        np.testing.assert_array_equal(runs_to_mask(runs.cropped(box), (-20, -20, 34, 29)), part)
        np.testing.assert_array_equal(
            runs_to_mask(runs, box), part[20 + y0 : 20 + y1, 20 + x0 : 20 + x1]
        )


def test_union_and_overlap():
    for mask, other in itertools.pairwise(random_masks(12, (9, 14))):
        runs, others = mask_to_runs(mask), mask_to_runs(other)
        union, expected = runs.union(others, runs), mask_to_runs(mask | other)
        for name in ("columns", "tops", "bottoms"):
            np.testing.assert_array_equal(getattr(union, name), getattr(expected, name))
        assert intersection_area(runs, others) == (mask & other).sum()
        assert runs_iou(runs, others) == pytest.approx(float(mask_iou(mask, other)))


def test_union_of_one_mask_and_of_empty_masks():
    runs, empty = mask_to_runs(np.ones((2, 3))), mask_to_runs(np.zeros((2, 3)))
    assert RunLengthMask.union(runs).area == 6
    assert empty.union(empty).area == 0
    assert runs_iou(empty, empty) == 1


def test_shifted_far_from_the_origin():
    mask = np.random.default_rng(0).random((20, 30)) < 0.5
    runs = mask_to_runs(mask).shifted(600_000, 500_000)
    np.testing.assert_array_equal(runs_to_mask(runs, (600_000, 500_000, 600_030, 500_020)), mask)
    union = runs.union(runs.shifted(-600_000, -500_000))
    assert union.area == 2 * mask.sum()


def test_another_shape_raises():
    with pytest.raises(ValueError, match=r"shape \(H, W\)"):
        mask_to_runs(np.ones((1, 2, 3)))
