"""Measures of masks, against sums over pixels."""

import numpy as np
import pytest

from keras_sam.masks.measures import (
    mask_area,
    mask_interior_point,
    mask_iou,
    mask_to_box,
    stability_score,
)

RECTANGLE = np.zeros((6, 8), bool)
RECTANGLE[1:4, 2:7] = True


def test_area():
    assert mask_area(RECTANGLE) == 15
    np.testing.assert_array_equal(mask_area(np.stack([RECTANGLE, ~RECTANGLE])), [15, 33])


def test_box():
    np.testing.assert_array_equal(mask_to_box(RECTANGLE), [2, 1, 7, 4])
    np.testing.assert_array_equal(mask_to_box(np.zeros((6, 8))), [0, 0, 0, 0])


def test_iou():
    other = np.zeros_like(RECTANGLE)
    other[1:4, 2:4] = True
    assert mask_iou(RECTANGLE, other) == pytest.approx(6 / 15)
    assert mask_iou(~RECTANGLE, RECTANGLE) == 0
    assert mask_iou(other & False, other & False) == 1
    masks = np.stack([RECTANGLE, other])
    np.testing.assert_allclose(mask_iou(masks[:, None], masks), [[1, 0.4], [0.4, 1]])


def test_iou_of_two_sizes_raises():
    with pytest.raises(ValueError, match="masks must have the same size"):
        mask_iou(RECTANGLE, RECTANGLE[1:])


def test_stability_score():
    assert stability_score(np.array([[-2.0, 0.5], [2.0, 3.0]])) == pytest.approx(2 / 3)
    assert stability_score(np.full((2, 2), -5.0)) == 0
    assert stability_score(np.array([[0.2, 0.4]]), threshold=0.3, offset=0.15) == 0
    assert stability_score(np.array([[0.2, 0.4]]), threshold=0.2, offset=0.1) == 0.5


def squared_distances(mask):
    """Squared distance of each pixel to the nearest pixel outside the mask, by brute force."""
    padded = np.pad(mask, 1)
    pixels = np.argwhere(np.ones_like(padded))
    outside = np.argwhere(~padded)
    distances = ((pixels[:, None] - outside) ** 2).sum(axis=-1).min(axis=1)
    return distances.reshape(padded.shape)[1:-1, 1:-1]


def test_interior_point_is_the_first_of_the_deepest_pixels():
    random = np.random.default_rng(0)
    for share in np.linspace(0.3, 1, 40):
        mask = random.random(random.integers(1, 16, 2)) < share
        if mask.any():
            distances = squared_distances(mask)
            y, x = np.unravel_index(distances.argmax(), mask.shape)
            assert mask_interior_point(mask) == (x, y)


def test_interior_point_of_a_mask_that_covers_the_image():
    assert mask_interior_point(np.ones((4, 9))) == (1, 1)


def test_interior_point_of_an_empty_mask_raises():
    with pytest.raises(ValueError, match="no interior point"):
        mask_interior_point(np.zeros((3, 3)))


@pytest.mark.parametrize("measure", [mask_to_box, mask_interior_point])
def test_another_shape_raises(measure):
    with pytest.raises(ValueError, match=r"shape \(H, W\)"):
        measure(np.ones((2, 3, 4)))
