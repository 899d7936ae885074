"""Ground-truth masks are reduced to the low-res grid."""

import numpy as np
import pytest
from keras import ops

from keras_sam.losses import low_res_targets


def test_cells_are_foreground_if_at_least_half_of_their_pixels_are():
    random = np.random.default_rng(0)
    masks = (random.random((2, 3, 12, 18)) < 0.5).astype("uint8")
    expected = np.zeros((2, 3, 4, 6), "float32")
    for row, column in np.ndindex(4, 6):
        cell = masks[:, :, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        expected[:, :, row, column] = cell.mean((2, 3)) >= 0.5
    targets = ops.convert_to_numpy(low_res_targets({"masks": masks}, (4, 6)))
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, expected)


def test_masks_at_the_low_res_grid_are_unchanged():
    masks = np.eye(4, dtype="uint8")[None, None]
    np.testing.assert_array_equal(ops.convert_to_numpy(low_res_targets(masks, (4, 4))), masks)


@pytest.mark.parametrize("shape", [(1, 1, 15, 16), (1, 16, 16), (1, 1, 32, 16), (1, 1, 8, 8)])
def test_masks_of_another_shape_raise(shape):
    with pytest.raises(ValueError, match=r"\(H, W\) the low-res grid \(16, 16\)"):
        low_res_targets({"masks": np.zeros(shape)}, (16, 16))


def test_missing_masks_raise():
    with pytest.raises(ValueError, match="got None"):
        low_res_targets({"labels": np.zeros((1, 1, 16, 16))}, (16, 16))
