"""Polygons with holes as a single ring."""

import numpy as np
from pycocotools import mask as coco_mask

from keras_sam.masks.mask_to_polygons import mask_to_polygons
from keras_sam.masks.polygon import Polygon, join_rings
from keras_sam.masks.polygons_to_mask import polygons_to_mask

SQUARE = np.array([[0, 0], [8, 0], [8, 8], [0, 8]])


def hole(x, y):
    return np.array([[x, y], [x, y + 2], [x + 2, y + 2], [x + 2, y]])


def test_a_polygon_without_holes_is_its_ring():
    assert Polygon(SQUARE).to_ring() is SQUARE


def test_a_vertical_bridge_joins_a_hole_to_the_edge_above():
    ring = Polygon(SQUARE, (hole(3, 4),)).to_ring()
    np.testing.assert_array_equal(
        ring,
        [[0, 0], [3, 0], [3, 4], [3, 6], [5, 6], [5, 4], [3, 4], [3, 0], [8, 0], [8, 8], [0, 8]],
    )


def test_several_holes():
    """Two bridges start at one edge, and one starts at another hole."""
    polygon = Polygon(SQUARE, (hole(5, 1), hole(1, 1), hole(1, 5), hole(6, 5)))
    mask = polygons_to_mask([polygon.to_ring()], (8, 8))
    assert np.count_nonzero(mask) == 64 - 16
    np.testing.assert_array_equal(mask, mask_from_pycocotools(polygon.to_ring(), (8, 8)))


def test_separate_rings_are_joined():
    ring = join_rings([SQUARE, SQUARE + np.array([10, 0]), SQUARE + np.array([0, 10])])
    assert np.count_nonzero(polygons_to_mask([ring], (20, 20))) == 3 * 64


def test_the_winding_number_is_that_of_the_mask():
    """Both sides of a bridge cancel, so that the even-odd and the nonzero rule agree."""
    mask = np.ones((9, 12), bool)
    mask[2:4, 2:4] = mask[5:8, 3:9] = mask[1:3, 7:10] = False
    (polygon,) = mask_to_polygons(mask)
    starts = polygon.to_ring()
    ends = np.roll(starts, -1, axis=0)
    for y, x in np.ndindex(mask.shape):
        left = (starts[:, 0] < x + 0.5) & (starts[:, 0] == ends[:, 0])
        up = left & (ends[:, 1] <= y) & (starts[:, 1] > y)
        down = left & (starts[:, 1] <= y) & (ends[:, 1] > y)
        assert np.count_nonzero(up) - np.count_nonzero(down) == mask[y, x]


def mask_from_pycocotools(ring, size):
    return coco_mask.decode(coco_mask.frPyObjects([ring.ravel().tolist()], *size))[..., 0] > 0
