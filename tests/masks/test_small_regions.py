"""Regions against SciPy's, and what is removed of them."""

import numpy as np
import pytest
from scipy import ndimage

from keras_sam.masks.small_regions import connected_regions, remove_small_regions


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (60, 40)])
def test_regions_are_those_of_scipy(size, share):
    mask = np.random.default_rng(0).random(size) < share
    labels, sizes = connected_regions(mask)
    expected, count = ndimage.label(mask, np.ones((3, 3)))
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(sizes, np.bincount(expected.ravel(), minlength=count + 1)[1:])


def test_holes_are_filled_and_islands_dropped():
    mask = np.zeros((12, 12), bool)
    mask[1:8, 1:8] = True
    mask[3, 3] = False
    mask[10, 10] = True
    cleaned, is_changed = remove_small_regions(mask, 5)
    assert is_changed
    assert cleaned[3, 3]
    assert not cleaned[10, 10]
    assert cleaned.sum() == 49
    again, is_changed = remove_small_regions(cleaned, 5)
    assert not is_changed
    np.testing.assert_array_equal(again, cleaned)


def test_the_largest_of_small_islands_stays():
    mask = np.zeros((9, 9), bool)
    mask[1, 1:4] = mask[6, 6] = True
    cleaned, is_changed = remove_small_regions(mask, 20)
    assert is_changed
    assert cleaned.sum() == 3
    assert cleaned[1, 1:4].all()
