"""Self-attention over a grid, compared with NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers import attention as attention_module
from keras_sam.layers.relative_position_attention import RelativePositionAttention
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, dense, random, randomize, to_numpy

GRID_SIZE = (5, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {"window_size": 3},
        {"window_size": 3, "use_bias": False},
        {"window_size": 0},
        {"window_size": 0, "use_bias": False},
        {"window_size": 4, "use_rel_pos": False},
        {"window_size": 0, "use_rel_pos": False, "output_dim": 6},
    ],
)
def test_layer_equals_projecting_padded_windows(settings):
    """The reference pads first and projects padding tokens too, like the paper's code."""
    layer = RelativePositionAttention(2, 4, grid_size=GRID_SIZE, **settings)
    layer.build((None, *GRID_SIZE, 8))
    randomize(layer, scale=1.0)
    grid = random(2, *GRID_SIZE, 8, seed=9)
    actual = layer(ops.convert_to_tensor(grid))
    assert_close(actual, numpy_layer(layer, grid), atol=1e-4)


def numpy_layer(layer: RelativePositionAttention, grid: np.ndarray) -> np.ndarray:
    side = layer.window_size
    rows, columns = (side, side) if side else GRID_SIZE
    height, width = -(-GRID_SIZE[0] // rows) * rows, -(-GRID_SIZE[1] // columns) * columns
    grid = np.pad(grid, ((0, 0), (0, height - GRID_SIZE[0]), (0, width - GRID_SIZE[1]), (0, 0)))
    attended = np.zeros((2, height, width, 8))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            window = grid[:, top : top + rows, left : left + columns].reshape(2, -1, 8)
            qkv = dense(layer.qkv, window).reshape(2, -1, 3, 2, 4)
            query, key, value = qkv.transpose(2, 0, 3, 1, 4)
            if layer.use_rel_pos:
                tables = to_numpy(layer.rel_pos_h), to_numpy(layer.rel_pos_w)
                output = numpy_reference.relative_position_attention(
                    query, key, value, *tables, (rows, columns)
                )
            else:
                output = numpy_reference.attention(query, key, value)
            output = numpy_reference.merge_heads(output).reshape(2, rows, columns, 8)
            attended[:, top : top + rows, left : left + columns] = output
    return dense(layer.projection, attended[:, : GRID_SIZE[0], : GRID_SIZE[1]])


@pytest.mark.training
def test_gradients_do_not_depend_on_the_block_size(monkeypatch):
    grid = random(2, 4, 5, 6)
    weights = []
    for block_bytes in (2**20, 3000, 170):  # all heads, one head, two rows
        sizes = dict.fromkeys(attention_module.LOGITS_BYTES, block_bytes)
        monkeypatch.setattr(attention_module, "LOGITS_BYTES", sizes)
        layer = RelativePositionAttention(2, 4, grid_size=(4, 5), output_dim=6)
        model = keras.Sequential([keras.Input((4, 5, 6)), layer])
        randomize(layer, scale=1.0)
        model.compile(keras.optimizers.SGD(1.0), loss="mse")
        model.train_on_batch(grid, np.zeros_like(grid))
        weights.append([to_numpy(weight) for weight in layer.weights])
    for whole, *blocks in zip(*weights, strict=True):
        for block in blocks:
            assert_close(block, whole)


# Keras warns of it with OpenVINO, which has no gradients.
@pytest.mark.filterwarnings("ignore:`custom_gradient`:UserWarning")
@pytest.mark.parametrize("window_size", [0, 3])
@pytest.mark.parametrize("use_bias", [True, False])
def test_quantized_projections_are_scaled(window_size, use_bias):
    layer = RelativePositionAttention(
        2, 4, grid_size=GRID_SIZE, window_size=window_size, use_bias=use_bias
    )
    layer.build((None, *GRID_SIZE, 8))
    randomize(layer, scale=0.3)
    grid = ops.convert_to_tensor(random(2, *GRID_SIZE, 8))
    exact = to_numpy(layer(grid))
    layer.qkv.quantize("int8")
    layer.projection.quantize("int8")
    error = np.linalg.norm(to_numpy(layer(grid)) - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.03


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="kernels of torch")
@pytest.mark.parametrize("is_frozen", [True, False])
def test_frozen_layers_use_the_kernel_of_inference(is_frozen):
    import torch

    layer = RelativePositionAttention(2, 4, grid_size=GRID_SIZE)
    layer.build((None, *GRID_SIZE, 8))
    layer.trainable = not is_frozen
    with torch.profiler.profile() as profile, torch.enable_grad():
        layer(ops.convert_to_tensor(random(2, *GRID_SIZE, 8)))
    kernels = {event.name for event in profile.events()}
    assert ("aten::scaled_dot_product_attention" in kernels) == is_frozen
