"""The attention kernels, compared with plain einsums in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers import attention as module
from keras_sam.layers.attention import (
    attention,
    masked_softmax,
    merge_heads,
    relative_bias_attention,
    relative_position_attention,
    softmax_product,
    split_heads,
)
from keras_sam.layers.export_mode import export_mode
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, softmax, to_numpy


def tensors(*arrays: np.ndarray) -> list:
    return [ops.convert_to_tensor(array) for array in arrays]


@pytest.mark.parametrize("queries", [1, 2])
def test_attention_equals_einsum(queries):
    query = random(queries, 3, 5, 4)
    key, value = random(2, 3, 7, 4, seed=1), random(2, 3, 7, 4, seed=2)
    mask = np.ones((2, 7), bool)
    mask[0, 4:] = False
    expected = numpy_reference.attention(
        np.broadcast_to(query, (2, 3, 5, 4)), key, value, mask=mask
    )
    arrays = tensors(query, key, value)
    assert_close(attention(*arrays, mask=ops.convert_to_tensor(mask)), expected)


# A row of logits has 36 or 40 bytes, a head 324 or 400. For PyTorch, both are twice as large, since
# a block contains both images. The sizes give: one block, some heads, one head, some rows, one row.
@pytest.mark.parametrize("block_bytes", [2**20, 1700, 1000, 350, 150, 1])
@pytest.mark.parametrize("grid_size", [(3, 3), (2, 5)])
def test_relative_position_attention_equals_einsum(monkeypatch, grid_size, block_bytes):
    set_block_bytes(monkeypatch, block_bytes)
    height, width = grid_size
    arrays = [random(2, 3, height * width, 4, seed=seed) for seed in range(3)]
    tables = random(2 * height - 1, 4, seed=3), random(2 * width - 1, 4, seed=4)
    expected = numpy_reference.relative_position_attention(*arrays, *tables, grid_size)
    inputs = tensors(*arrays, *tables)
    actual = without_gradients(lambda: relative_position_attention(*inputs, grid_size=grid_size))
    assert_close(actual, expected)


def test_exported_relative_position_attention_has_no_blocks(monkeypatch):
    set_block_bytes(monkeypatch, 1)
    arrays = [random(2, 3, 10, 4, seed=seed) for seed in range(3)]
    tables = random(3, 4, seed=3), random(9, 4, seed=4)
    for name in ("_blockwise_relative_attention", "_torch_relative_attention"):
        monkeypatch.setattr(module, name, None)  # would fail
    with export_mode():
        actual = relative_position_attention(*tensors(*arrays, *tables), grid_size=(2, 5))
    expected = numpy_reference.relative_position_attention(*arrays, *tables, (2, 5))
    assert_close(actual, expected)


def test_relative_position_attention_keeps_the_dtype():
    inputs = [ops.cast(random(1, 2, 6, 4, seed=seed), "bfloat16") for seed in range(3)]
    tables = [ops.cast(random(length, 4), "bfloat16") for length in (3, 5)]
    output = relative_position_attention(*inputs, *tables, grid_size=(2, 3))
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"


def test_relative_bias_attention_equals_einsum():
    """The columns of the table are numbered by first occurrence, as in released weights."""
    side = 3
    query, key, value = (random(2, 2, side**2, 4, seed=seed) for seed in range(3))
    table = random(2, side**2, seed=3)
    bias = np.zeros((1, 2, side**2, side**2))
    columns: dict[tuple[int, int], int] = {}
    for t in range(side**2):
        for s in range(side**2):
            distance = abs(t // side - s // side), abs(t % side - s % side)
            bias[:, :, t, s] = table[:, columns.setdefault(distance, len(columns))]
    expected = numpy_reference.attention(query, key, value, bias=bias)
    actual = relative_bias_attention(*tensors(query, key, value, table), window_size=side)
    assert_close(actual, expected)


def test_masked_softmax_ignores_masked_keys():
    logits, mask = random(2, 5, 3), np.array([[True], [False], [True], [True], [False]])
    weights = to_numpy(masked_softmax(*tensors(logits, mask), axis=1))
    expected = softmax(logits[:, [0, 2, 3]].transpose(0, 2, 1)).transpose(0, 2, 1)
    assert_close(weights[:, [0, 2, 3]], expected)
    assert not weights[:, [1, 4]].any()


def test_softmax_product_of_large_logits_is_finite():
    logits, values = 1e4 * random(2, 5, 7), random(2, 7, 3, seed=1)
    actual = softmax_product(*tensors(logits, values))
    assert_close(actual, softmax(logits.astype("float64")) @ values)


def test_merge_heads_reverses_split_heads():
    tokens = random(2, 3, 8)
    heads = split_heads(ops.convert_to_tensor(tokens), 2)
    assert_close(heads, numpy_reference.split_heads(tokens, 2), atol=0)
    assert_close(merge_heads(heads), tokens, atol=0)


def set_block_bytes(monkeypatch, block_bytes):
    monkeypatch.setitem(module.BIAS_BYTES, "cpu", block_bytes)
    monkeypatch.setattr(module, "LOGITS_BYTES", dict.fromkeys(module.LOGITS_BYTES, block_bytes))


def without_gradients(compute):
    """Call a function in inference mode, where PyTorch uses other kernels."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            return compute()
    return compute()
