"""Attention windows, compared with slices."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.windows import grid_to_windows, pad_grid, windows_to_grid
from tests.layers.numpy_reference import assert_close, random


def test_windows_are_slices_in_row_major_order():
    grid = random(2, 4, 6, 3)
    slices = [
        grid[image, top : top + 2, left : left + 2]
        for image in range(2)
        for top in (0, 2)
        for left in (0, 2, 4)
    ]
    assert_close(grid_to_windows(ops.convert_to_tensor(grid), 2), np.stack(slices), atol=0)


@pytest.mark.parametrize(("size", "padded_size"), [((4, 6), (4, 6)), ((3, 5), (4, 6))])
def test_padding_is_zero_and_is_removed_again(size, padded_size):
    grid = random(2, *size, 3)
    padded = pad_grid(ops.convert_to_tensor(grid), 2)
    expected = np.zeros((2, *padded_size, 3))
    expected[:, : size[0], : size[1]] = grid
    assert_close(padded, expected, atol=0)
    assert_close(windows_to_grid(grid_to_windows(padded, 2), size), grid, atol=0)
