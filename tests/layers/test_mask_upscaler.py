"""Upscaling by matrix products, compared with transposed convolutions in NumPy."""

import pytest
from keras import ops

from keras_sam.layers.mask_upscaler import (
    ConvTranspose2x2,
    MaskUpscaler,
    pixels_to_grid,
    pixels_to_masks,
)
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, gelu, random, randomize

GRID_SIZE = (3, 5)


@pytest.mark.parametrize("activate_output", [True, False])
def test_mask_upscaler_equals_transposed_convolutions(activate_output):
    layer = MaskUpscaler(6, 2, activate_output=activate_output)
    layer.build((None, None, 8))
    randomize(layer)
    grid = random(2, *GRID_SIZE, 8)
    expected = numpy_reference.upscale(layer, grid)
    expected = gelu(expected) if activate_output else expected
    pixels = layer(ops.convert_to_tensor(grid.reshape(2, -1, 8)))
    assert_close(pixels_to_grid(pixels, GRID_SIZE), expected)
    masks = pixels_to_masks(ops.swapaxes(pixels, 1, 2), GRID_SIZE)
    assert_close(masks, expected.transpose(0, 3, 1, 2))


def test_conv_transpose_orders_the_pixels_of_a_token_by_row():
    layer = ConvTranspose2x2(4)
    layer.build((None, None, 8))
    randomize(layer)
    tokens = random(2, 1, 8)
    expected = numpy_reference.transposed_convolution(layer, tokens[:, None]).reshape(2, 4, 4)
    assert_close(layer(ops.convert_to_tensor(tokens)), expected)
