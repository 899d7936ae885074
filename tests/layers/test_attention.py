"""The attention kernels against plain einsums in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers import attention as module
from keras_sam.layers.attention import (
    attention,
    relative_bias_attention,
    relative_position_attention,
)
from keras_sam.layers.relative_position_attention import RelativePositionAttention


def numpy_softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def numpy_relative_attention(query, key, value, rel_pos_h, rel_pos_w, grid_size):
    """Every query and key in turn, as the formula reads."""
    height, width = grid_size
    logits = np.einsum("bktd,bksd->bkts", query, key) / np.sqrt(query.shape[-1])
    for t in range(height * width):
        for s in range(height * width):
            row = rel_pos_h[t // width - s // width + height - 1]
            column = rel_pos_w[t % width - s % width + width - 1]
            logits[:, :, t, s] += query[:, :, t] @ (row + column)
    return np.einsum("bkts,bksd->bktd", numpy_softmax(logits), value)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_attention_equals_the_formula():
    query, key, value = random(2, 3, 5, 4), random(2, 3, 7, 4, seed=1), random(2, 3, 7, 4, seed=2)
    mask = np.ones((2, 7), bool)
    mask[0, 4:] = False
    logits = np.einsum("bktd,bksd->bkts", query, key) / 2
    logits = np.where(mask[:, None, None], logits, -np.inf)
    expected = np.einsum("bkts,bksd->bktd", numpy_softmax(logits), value)
    tensors = [ops.convert_to_tensor(array) for array in (query, key, value)]
    found = attention(*tensors, mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-5)


# Rows take 36 or 40 bytes for each head, heads 324 or 400, in PyTorch's blocks of both images twice
# as much: all at once, some heads, one, some rows, one.
@pytest.mark.parametrize("block_bytes", [2**20, 1700, 1000, 350, 150, 1])
@pytest.mark.parametrize("grid_size", [(3, 3), (2, 5)])
def test_relative_position_attention_equals_the_formula(monkeypatch, grid_size, block_bytes):
    monkeypatch.setitem(module.BIAS_BYTES, "cpu", block_bytes)
    monkeypatch.setattr(module, "LOGITS_BYTES", dict.fromkeys(module.LOGITS_BYTES, block_bytes))
    height, width = grid_size
    arrays = [random(2, 3, height * width, 4, seed=seed) for seed in range(3)]
    tables = random(2 * height - 1, 4, seed=3), random(2 * width - 1, 4, seed=4)
    expected = numpy_relative_attention(*arrays, *tables, grid_size)
    tensors = [ops.convert_to_tensor(array) for array in (*arrays, *tables)]
    found = without_gradients(lambda: relative_position_attention(*tensors, grid_size=grid_size))
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-5)


@pytest.mark.training
def test_blocks_have_the_gradients_of_the_whole(monkeypatch):
    grid = random(2, 4, 5, 6)
    trained = []
    for block_bytes in (2**20, 3000, 170):  # all at once, one head, two rows
        monkeypatch.setattr(module, "LOGITS_BYTES", dict.fromkeys(module.LOGITS_BYTES, block_bytes))
        layer = RelativePositionAttention(2, 4, grid_size=(4, 5), output_dim=6)
        model = keras.Sequential([keras.Input((4, 5, 6)), layer])
        for seed, weight in enumerate(layer.weights):
            weight.assign(random(*weight.shape, seed=seed))
        model.compile(keras.optimizers.SGD(1.0), loss="mse")
        model.train_on_batch(grid, np.zeros_like(grid))
        trained.append([ops.convert_to_numpy(weight) for weight in layer.weights])
    for whole, *blocks in zip(*trained, strict=True):
        for block in blocks:
            np.testing.assert_allclose(block, whole, rtol=1e-4, atol=1e-5)


def test_distance_attention_equals_the_formula():
    """Distances in the order of their first occurrence, as released tables have them."""
    side = 3
    query, key, value = (random(2, 2, side**2, 4, seed=seed) for seed in range(3))
    table = random(2, side**2, seed=3)
    logits = np.einsum("bktd,bksd->bkts", query, key) / 2
    columns: dict[tuple[int, int], int] = {}
    for t in range(side**2):
        for s in range(side**2):
            distance = abs(t // side - s // side), abs(t % side - s % side)
            logits[:, :, t, s] += table[:, columns.setdefault(distance, len(columns))]
    expected = np.einsum("bkts,bksd->bktd", numpy_softmax(logits), value)
    tensors = [ops.convert_to_tensor(array) for array in (query, key, value, table)]
    found = relative_bias_attention(*tensors, window_size=side)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
def test_windows_equal_projecting_the_padding(use_bias):
    """Pad first and project everything, as the paper's code does: the same output."""
    grid_size, window, heads, head_dim = (5, 7), 3, 2, 4
    layer = RelativePositionAttention(
        heads, head_dim, grid_size=grid_size, window_size=window, use_bias=use_bias
    )
    layer.build((None, *grid_size, 8))
    for seed, weight in enumerate(layer.weights):
        weight.assign(random(*weight.shape, seed=seed))
    grid = random(2, *grid_size, 8, seed=9)
    weights = {weight.name: ops.convert_to_numpy(weight) for weight in layer.weights}
    qkv_kernel = ops.convert_to_numpy(layer.qkv.kernel)
    qkv_bias = ops.convert_to_numpy(layer.qkv.bias) if use_bias else 0.0
    padded = np.pad(grid, ((0, 0), (0, 1), (0, 2), (0, 0)))
    attended = np.zeros((2, 6, 9, heads * head_dim))
    for top in range(0, 6, window):
        for left in range(0, 9, window):
            piece = padded[:, top : top + window, left : left + window].reshape(2, 9, 8)
            qkv = (piece @ qkv_kernel + qkv_bias).reshape(2, 9, 3, heads, head_dim)
            query, key, value = qkv.transpose(2, 0, 3, 1, 4)
            out = numpy_relative_attention(
                query, key, value, weights["rel_pos_h"], weights["rel_pos_w"], (window, window)
            )
            out = out.transpose(0, 2, 1, 3).reshape(2, window, window, -1)
            attended[:, top : top + window, left : left + window] = out
    projection = layer.projection
    expected = attended[:, :5, :7] @ ops.convert_to_numpy(projection.kernel)
    expected = expected + ops.convert_to_numpy(projection.bias)
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(grid)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def without_gradients(compute):
    """Runs a function as prediction does."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            return compute()
    return compute()
