"""Transformer blocks, compared with NumPy."""

import pytest
from keras import ops

from keras_sam.layers.vit_block import ViTBlock
from tests.layers.numpy_reference import (
    assert_close,
    dense,
    gelu,
    layer_norm,
    random,
    randomize,
    to_numpy,
)


@pytest.mark.parametrize("window_size", [0, 2])
def test_attention_and_mlp_are_residual(window_size):
    """The attention is compared with NumPy in test_relative_position_attention.py."""
    block = ViTBlock(2, 12, grid_size=(3, 5), hidden_size=8, window_size=window_size)
    grid = random(2, 3, 5, 8)
    block.build(grid.shape)
    randomize(block)
    normalized = layer_norm(block.layer_norm1, grid).astype("float32")
    expected = grid + to_numpy(block.attention(ops.convert_to_tensor(normalized)))
    hidden = gelu(dense(block.mlp.dense_layers[0], layer_norm(block.layer_norm2, expected)))
    expected = expected + dense(block.mlp.dense_layers[1], hidden)
    assert_close(block(ops.convert_to_tensor(grid)), expected)
