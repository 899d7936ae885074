"""Pixels of polygons against pycocotools, also where polygons leave the image."""

import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from keras_sam.masks.polygons_to_mask import MAX_COORDINATE, MAX_CROSSINGS, polygons_to_mask


def filled_by_pycocotools(polygons, size):
    flat = [corners.ravel().tolist() for corners in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, *size))).astype(bool)


@pytest.mark.parametrize("overhang", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("grid", [None, 1.0, 0.1], ids=["free", "whole", "tenths"])
def test_pixels_are_those_of_pycocotools(overhang, grid):
    random = np.random.default_rng(0)
    for _ in range(40):
        height, width = (int(side) for side in random.integers(1, 30, 2))
        polygons = []
        for _ in range(random.integers(1, 4)):
            corners = random.uniform(-overhang, 1 + overhang, (random.integers(3, 9), 2))
            corners = corners * (width, height)
            polygons.append(corners if grid is None else np.round(corners / grid) * grid)
        np.testing.assert_array_equal(
            polygons_to_mask(polygons, (height, width)),
            filled_by_pycocotools(polygons, (height, width)),
        )


def test_a_far_corner_keeps_the_slope_and_needs_no_memory():
    """The side from (0, 0) to the far corner runs along the diagonal."""
    far = float(MAX_COORDINATE)
    tracemalloc.start()
    mask = polygons_to_mask([np.array([[0, 0], [far, far], [0, far]])], (40, 40))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    near = filled_by_pycocotools([np.array([[0, 0], [400, 400], [0, 400]])], (40, 40))
    np.testing.assert_array_equal(mask, near)
    assert peak < 1_000_000


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_corners_are_empty(count):
    corners = np.array([[1.0, 1], [7, 5]])[:count].reshape(-1, 2)
    assert not polygons_to_mask([corners], (8, 8)).any()


def test_no_polygon_and_polygons_outside_the_image_are_empty():
    assert not polygons_to_mask([], (3, 4)).any()
    outside = np.array([[5.0, 0], [9, 0], [9, 3]])
    assert not polygons_to_mask([outside, -outside], (3, 4)).any()


@pytest.mark.parametrize(
    ("corner", "message"), [(np.nan, "finite"), (np.inf, "finite"), (-1e30, "at most")]
)
def test_hostile_corners_raise(corner, message):
    with pytest.raises(ValueError, match=message):
        polygons_to_mask([np.array([[0, 0], [corner, 3], [3, 3]])], (4, 4))


@pytest.mark.parametrize("polygons", [1, 10])
def test_too_many_crossings_raise(polygons):
    width = 10_000
    sides = MAX_CROSSINGS // width // polygons + 2
    corners = np.array([[0, 0], [width, 1]] * (sides // 2), np.float64)
    with pytest.raises(ValueError, match="at most 4000000 times in total"):
        polygons_to_mask([corners] * polygons, (1, width))
