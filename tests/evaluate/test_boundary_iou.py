"""Boundary IoU against erosion by repeated 3 x 3 minima, as in the authors' code."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from keras_sam.evaluate import boundary_band, boundary_iou
from keras_sam.evaluate.boundary_iou import band_width


def reference_band(mask, width):
    padded = np.pad(mask, 1)
    eroded = binary_erosion(padded, np.ones((3, 3)), iterations=width, border_value=1)
    return mask & ~eroded[1:-1, 1:-1]


def random_blobs(rng, size):
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, bool)
    for _ in range(3):
        center, radii = rng.uniform(0, size), rng.uniform(2, 0.6 * min(size), 2)
        mask |= ((y - center[0]) / radii[0]) ** 2 + ((x - center[1]) / radii[1]) ** 2 < 1
    return mask


@pytest.mark.parametrize("size", [(30, 50), (120, 90)])
@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.1])
def test_equal_to_repeated_erosion(size, ratio):
    rng = np.random.default_rng(0)
    width = max(1, round(ratio * np.hypot(*size)))
    for _ in range(5):
        mask, target = random_blobs(rng, size), random_blobs(rng, size)
        bands = [reference_band(one, width) for one in (mask, target)]
        np.testing.assert_array_equal(boundary_band(mask, band_ratio=ratio), bands[0])
        expected = (bands[0] & bands[1]).sum() / (bands[0] | bands[1]).sum()
        assert boundary_iou(mask, target, band_ratio=ratio) == pytest.approx(expected)


def test_the_interior_does_not_count():
    target = np.zeros((100, 100), bool)
    target[10:90, 10:90] = True
    hollow = target.copy()
    hollow[20:80, 20:80] = False  # 10 pixels from the outline, the band has 3
    shifted = np.roll(target, 2, axis=1)
    assert boundary_iou(target, target) == 1
    assert boundary_iou(hollow, target) < 1  # the hole has an outline of its own
    assert boundary_iou(shifted, target) < 0.6 < 0.95 < (shifted & target).sum() / target.sum()


def test_band_is_at_least_one_pixel_wide():
    assert band_width((480, 640)) == 16
    assert band_width((5, 5)) == 1


def test_image_border_is_an_outline():
    full = np.ones((40, 40), bool)
    band = boundary_band(full)
    assert band[0].all()
    assert not band[1:-1, 1:-1].any()


def test_masks_without_overlap():
    empty, left, right = (np.zeros((20, 20), bool) for _ in range(3))
    left[:, :5], right[:, 15:] = True, True
    assert boundary_iou(left, right) == 0
    assert boundary_iou(left, empty) == 0
    assert boundary_iou(empty, empty) == 1
    assert not boundary_band(empty).any()


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match=r"same size, got \(3, 4\) and \(4, 3\)"):
        boundary_iou(np.ones((3, 4)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"band_ratio must be positive, got 0"):
        boundary_band(np.ones((3, 4)), band_ratio=0)
