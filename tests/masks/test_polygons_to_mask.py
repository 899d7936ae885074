"""Polygons against pycocotools, also where they leave the image."""

import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from keras_sam.masks.polygons_to_mask import FARTHEST, MOST_CROSSINGS, polygons_to_mask


def filled_by_pycocotools(polygons, size):
    outlines = [corners.ravel().tolist() for corners in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, *size))).astype(bool)


@pytest.mark.parametrize("reach", [0.0, 0.5, 20.0])
@pytest.mark.parametrize("grid", [None, 1.0, 0.1], ids=["free", "whole", "tenths"])
def test_pixels_are_those_of_pycocotools(reach, grid):
    random = np.random.default_rng(0)
    for _ in range(40):
        height, width = (int(side) for side in random.integers(1, 30, 2))
        polygons = []
        for _ in range(random.integers(1, 4)):
            corners = random.uniform(-reach, 1 + reach, (random.integers(3, 9), 2))
            corners = corners * (width, height)
            polygons.append(corners if grid is None else np.round(corners / grid) * grid)
        np.testing.assert_array_equal(
            polygons_to_mask(polygons, (height, width)),
            filled_by_pycocotools(polygons, (height, width)),
        )


def test_a_far_corner_keeps_the_slope_and_costs_nothing():
    """The side from (0, 0) to far right and down runs along the diagonal."""
    far = float(FARTHEST)
    tracemalloc.start()
    found = polygons_to_mask([np.array([[0, 0], [far, far], [0, far]])], (40, 40))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    near = filled_by_pycocotools([np.array([[0, 0], [400, 400], [0, 400]])], (40, 40))
    np.testing.assert_array_equal(found, near)
    assert peak < 1_000_000


def test_no_polygon_and_one_beside_the_image_are_empty():
    assert not polygons_to_mask([], (3, 4)).any()
    beside = np.array([[5.0, 0], [9, 0], [9, 3]])
    assert not polygons_to_mask([beside, -beside], (3, 4)).any()


@pytest.mark.parametrize(
    ("corner", "message"), [(np.nan, "finite"), (np.inf, "finite"), (-1e30, "within")]
)
def test_hostile_corners_are_refused(corner, message):
    with pytest.raises(ValueError, match=message):
        polygons_to_mask([np.array([[0, 0], [corner, 3], [3, 3]])], (4, 4))


def test_a_polygon_that_winds_without_end_is_refused():
    width = 10_000
    corners = np.array([[0, 0], [width, 1]] * (MOST_CROSSINGS // width // 2 + 1), np.float64)
    with pytest.raises(ValueError, match="columns"):
        polygons_to_mask([corners], (1, width))
