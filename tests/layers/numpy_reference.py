"""Layers as plain NumPy formulas, and random arrays and weights to compare with."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(layer: keras.layers.Layer, scale: float = 0.3) -> keras.layers.Layer:
    """Assign random values to all weights of a built layer."""
    for seed, weight in enumerate(layer.weights):
        weight.assign(scale * random(*weight.shape, seed=seed))
    return layer


def to_numpy(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))


def assert_close(actual: Any, expected: Any, atol: float = 1e-5, rtol: float = 1e-4) -> None:
    np.testing.assert_allclose(to_numpy(actual), to_numpy(expected), atol=atol, rtol=rtol)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def dense(layer: Any, inputs: np.ndarray) -> np.ndarray:
    outputs = inputs @ to_numpy(layer.kernel)
    return outputs + to_numpy(layer.bias) if layer.use_bias else outputs


def layer_norm(layer: Any, inputs: np.ndarray) -> np.ndarray:
    centered = inputs - inputs.mean(-1, keepdims=True)
    deviation = np.sqrt(np.square(centered).mean(-1, keepdims=True) + layer.epsilon)
    return centered / deviation * to_numpy(layer.gamma) + to_numpy(layer.beta)


def convolve(
    grid: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | float = 0.0,
    *,
    strides: int = 1,
    padding: int = 0,
    is_depthwise: bool = False,
) -> np.ndarray:
    """Sum the shifted grids of all positions in the kernel."""
    grid = np.pad(grid, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = (
        (side - size) // strides + 1
        for side, size in zip(grid.shape[1:3], kernel.shape[:2], strict=True)
    )
    total: Any = 0.0
    for y in range(kernel.shape[0]):
        for x in range(kernel.shape[1]):
            shifted = grid[:, y : y + strides * rows : strides, x : x + strides * columns : strides]
            shifted = shifted[:, :rows, :columns]
            total = total + (
                shifted * kernel[y, x, :, 0] if is_depthwise else shifted @ kernel[y, x]
            )
    return total + bias


def transposed_convolution(layer: Any, grid: np.ndarray) -> np.ndarray:
    """Stride 2 and kernel `(2, 2, out, in)`: each token yields its own four pixels."""
    kernel = to_numpy(layer.kernel)
    batch, height, width, _ = grid.shape
    output = np.zeros((batch, 2 * height, 2 * width, kernel.shape[2]))
    for row in range(2):
        for column in range(2):
            output[:, row::2, column::2] = grid @ kernel[row, column].T
    return output + to_numpy(layer.bias)


def upscale(layer: Any, grid: np.ndarray) -> np.ndarray:
    """`MaskUpscaler` with a GELU, up to the activation of its output."""
    grid = transposed_convolution(layer.conv_transpose1, grid)
    return transposed_convolution(layer.conv_transpose2, gelu(layer_norm(layer.layer_norm, grid)))


def attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    *,
    bias: np.ndarray | float = 0.0,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Scaled dot-product attention of heads `(B, K, T, d)`, with a mask `(B, S)`."""
    logits = np.einsum("bktd,bksd->bkts", query, key) / np.sqrt(query.shape[-1]) + bias
    if mask is not None:
        logits = np.where(mask[:, None, None], logits, -np.inf)
    return np.einsum("bkts,bksd->bktd", softmax(logits), value)


def relative_position_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    rel_pos_h: np.ndarray,
    rel_pos_w: np.ndarray,
    grid_size: tuple[int, int],
) -> np.ndarray:
    """Attention whose bias is computed for each pair of query and key."""
    height, width = grid_size
    bias = np.zeros((*query.shape[:2], height * width, height * width))
    for t in range(height * width):
        for s in range(height * width):
            row = rel_pos_h[t // width - s // width + height - 1]
            column = rel_pos_w[t % width - s % width + width - 1]
            bias[:, :, t, s] = query[:, :, t] @ (row + column)
    return attention(query, key, value, bias=bias)


def split_heads(tokens: np.ndarray, heads: int) -> np.ndarray:
    batch, length, width = tokens.shape
    return tokens.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def merge_heads(tokens: np.ndarray) -> np.ndarray:
    batch, heads, length, width = tokens.shape
    return tokens.transpose(0, 2, 1, 3).reshape(batch, length, heads * width)


def multi_head_attention(
    layer: Any,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """`DownsampledAttention` of tokens `(B, T, D)`, with all projections."""
    query, key, value = (
        split_heads(dense(projection, tokens), layer.num_heads)
        for projection, tokens in ((layer.query, query), (layer.key, key), (layer.value, value))
    )
    return dense(layer.output_projection, merge_heads(attention(query, key, value, mask=mask)))


def mlp(layer: Any, inputs: np.ndarray) -> np.ndarray:
    """`MLP` with ReLUs."""
    *hidden, last = layer.dense_layers
    for part in hidden:
        inputs = np.maximum(dense(part, inputs), 0)
    return dense(last, inputs)


def two_way_block(
    block: Any,
    queries: np.ndarray,
    keys: np.ndarray,
    query_positions: np.ndarray,
    key_positions: np.ndarray,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`TwoWayBlock` of tokens `(B, T, D)` and image tokens `(B, S, D)`."""
    if block.is_first:
        queries = multi_head_attention(block.self_attention, queries, queries, queries, mask)
    else:
        q = queries + query_positions
        queries = queries + multi_head_attention(block.self_attention, q, q, queries, mask)
    queries = layer_norm(block.layer_norm1, queries)
    q, k = queries + query_positions, keys + key_positions
    queries = queries + multi_head_attention(block.token_to_image_attention, q, k, keys)
    queries = layer_norm(block.layer_norm2, queries)
    queries = layer_norm(block.layer_norm3, queries + mlp(block.mlp, queries))
    q = queries + query_positions
    keys = keys + multi_head_attention(block.image_to_token_attention, k, q, queries, mask)
    return queries, layer_norm(block.layer_norm4, keys)


def two_way_transformer(
    layer: Any,
    tokens: np.ndarray,
    keys: np.ndarray,
    positions: np.ndarray,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`TwoWayTransformer` of tokens `(B, T, D)` and image tokens `(B, S, D)`."""
    queries = tokens
    for block in layer.blocks:
        queries, keys = two_way_block(block, queries, keys, tokens, positions, mask)
    q, k = queries + tokens, keys + positions
    queries = queries + multi_head_attention(layer.final_attention, q, k, keys)
    return layer_norm(layer.final_layer_norm, queries), keys
