"""Attention within windows, compared with NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.window_attention import WindowAttention
from tests.layers import numpy_reference
from tests.layers.numpy_reference import (
    assert_close,
    dense,
    layer_norm,
    random,
    randomize,
    to_numpy,
)

HEADS, WIDTH, SIDE = 2, 8, 3


@pytest.mark.parametrize("grid_size", [(3, 3), (6, 3), (5, 7)])
def test_layer_equals_attention_in_padded_windows(grid_size):
    layer = WindowAttention(HEADS, hidden_size=WIDTH, window_size=SIDE)
    grid = random(2, *grid_size, WIDTH)
    layer.build(grid.shape)
    randomize(layer)
    height, width = (-(-side // SIDE) * SIDE for side in grid_size)
    padded = np.zeros((2, height, width, WIDTH), "float32")
    padded[:, : grid_size[0], : grid_size[1]] = grid
    expected = np.zeros_like(padded)
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            window = (slice(None), slice(top, top + SIDE), slice(left, left + SIDE))
            expected[window] = numpy_window(layer, padded[window])
    expected = dense(layer.projection, expected[:, : grid_size[0], : grid_size[1]])
    assert_close(layer(ops.convert_to_tensor(grid)), expected)


def numpy_window(layer: WindowAttention, window: np.ndarray) -> np.ndarray:
    """Attention in one window `(B, SIDE, SIDE, WIDTH)`, without the output projection."""
    tokens = layer_norm(layer.layer_norm, window.reshape(2, SIDE**2, WIDTH))
    qkv = dense(layer.qkv, tokens).reshape(2, SIDE**2, HEADS, 3, WIDTH // HEADS)
    query, key, value = qkv.transpose(3, 0, 2, 1, 4)
    table = to_numpy(layer.distance_bias).reshape(HEADS, SIDE, SIDE)
    rows, columns = np.divmod(np.arange(SIDE**2), SIDE)
    bias = table[:, np.abs(rows[:, None] - rows[None]), np.abs(columns[:, None] - columns[None])]
    attended = numpy_reference.attention(query, key, value, bias=bias[None])
    return numpy_reference.merge_heads(attended).reshape(window.shape)
