"""Small holes and islands, against a flood fill over pixels."""

import numpy as np
import pytest

from keras_sam.masks.small_regions import remove_small_regions


def regions(mask):
    """Sets of pixels that touch at a side or a corner, found by a flood fill."""
    remaining = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while remaining:
        stack = [min(remaining)]
        remaining.discard(stack[0])
        region = set()
        while stack:
            y, x = stack.pop()
            region.add((y, x))
            neighbors = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & remaining
            remaining -= neighbors
            stack += neighbors
        found.append(region)
    return found


def without_small_regions(mask, min_area):
    mask = mask.copy()
    holes = [hole for hole in regions(~mask) if len(hole) < min_area]
    for hole in holes:
        mask[tuple(zip(*hole, strict=True))] = True
    islands = regions(mask)
    kept = [island for island in islands if len(island) >= min_area]
    kept = kept or sorted(islands, key=len, reverse=True)[:1]
    result = np.zeros_like(mask)
    for island in kept:
        result[tuple(zip(*island, strict=True))] = True
    return result, bool(holes) or any(len(island) < min_area for island in islands)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (30, 20)])
@pytest.mark.parametrize("min_area", [0, 1, 4, 30.5])
def test_equals_a_flood_fill(size, share, min_area):
    mask = np.random.default_rng(0).random(size) < share
    cleaned, has_small_regions = remove_small_regions(mask, min_area)
    expected, expected_flag = without_small_regions(mask, min_area)
    np.testing.assert_array_equal(cleaned, expected)
    assert has_small_regions == expected_flag


def test_holes_are_filled_and_islands_removed():
    mask = np.zeros((12, 12), bool)
    mask[1:8, 1:8] = True
    mask[3, 3] = False
    mask[10, 10] = True
    cleaned, has_small_regions = remove_small_regions(mask, 5)
    assert has_small_regions
    assert cleaned[3, 3]
    assert not cleaned[10, 10]
    assert cleaned.sum() == 49
    again, has_small_regions = remove_small_regions(cleaned, 5)
    assert not has_small_regions
    np.testing.assert_array_equal(again, cleaned)


def test_the_largest_of_small_islands_is_kept():
    mask = np.zeros((9, 9), bool)
    mask[1, 1:4] = mask[6, 6] = True
    cleaned, _ = remove_small_regions(mask, 20)
    assert cleaned.sum() == 3
    assert cleaned[1, 1:4].all()
