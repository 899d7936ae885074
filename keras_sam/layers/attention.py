"""Attention: one function for each kind, with the kernel that is best on each backend."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.layers.device import backend_is_on_cpu
from keras_sam.layers.openvino_loop import openvino_loop

# So much of the bias is made at a time (torch, inference), in memory that is used again: on a CPU
# it stays in the cache. All of it takes 805 MB for a 64 x 64 grid of 12 heads in float32.
BIAS_BYTES = {"cpu": 2**23}
BIAS_BYTES_OF_OTHERS = 2**29
# So many logits are made at a time on a CPU, for the same reason; OpenVINO makes as many for rows
# of one head, where those of a head are more.
LOGITS_BYTES = {"jax": 2**22, "tensorflow": 2**23, "openvino": 2**23}


def attention(query: Any, key: Any, value: Any, *, mask: Any = None) -> Any:
    """Scaled dot-product attention: `softmax(query keyᵀ / sqrt(d)) value`.

    Kernels: torch's fused attention, which never writes the scores out, but for training on a
    CPU, where its backward pass is slower than that of plain products; on the other backends a
    matrix product, a float32 softmax and a matrix product, which their compilers fuse.

    Args:
        query: tensor `(B, K, T, d)`: batch, heads, tokens, width of a head. The batch axis of
            `query` may be 1 beside a larger one of `key` and `value`.
        key: tensor `(B, K, S, d)`.
        value: tensor `(B, K, S, d)`.
        mask: boolean tensor `(B, S)`, true where a key is to be seen, or `None` for all.

    Returns:
        Tensor `(B, K, T, d)`.
    """
    if mask is not None:
        mask = mask[:, None, None, :]  # (B, 1, 1, S)
    if keras.backend.backend() == "torch" and not _trains_on_cpu(query):
        return _torch_attention(query, key, value, mask)
    logits = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -1, -2))
    return ops.matmul(masked_softmax(logits, mask), value)


def relative_position_attention(
    query: Any, key: Any, value: Any, rel_pos_h: Any, rel_pos_w: Any, *, grid_size: tuple[int, int]
) -> Any:
    """Attention over a grid with the decomposed relative position bias of ViTDet and SAM.

    `logit[q, k] = query[q]·key[k] / sqrt(d) + query[q]·rel_pos_h[qh - kh + H - 1]
    + query[q]·rel_pos_w[qw - kw + W - 1]`; the bias takes the query before it is scaled
    (arXiv 2112.01526, and the released code of SAM).

    Kernels: torch's fused attention with the bias as its mask, in inference for some heads or rows
    at a time; elsewhere, and in training by torch on a CPU, two broadcast additions that fuse into
    the softmax, with JAX and TensorFlow on a CPU for some heads or rows at a time, too, and with
    OpenVINO for rows of one head.

    Args:
        query: tensor `(B, K, T, d)`, `T = H * W` tokens in row-major order.
        key: tensor `(B, K, T, d)`.
        value: tensor `(B, K, T, d)`.
        rel_pos_h: table `(2 H - 1, d)` of vertical offsets.
        rel_pos_w: table `(2 W - 1, d)` of horizontal offsets.
        grid_size: `(H, W)`.

    Returns:
        Tensor `(B, K, T, d)`.
    """
    bias_h, bias_w = _relative_position_terms(query, rel_pos_h, rel_pos_w, grid_size)
    backend, is_fixed = keras.backend.backend(), isinstance(query.shape[0], int)
    if backend == "torch" and not _trains_on_cpu(query):
        return _torch_relative_attention(query, key, value, bias_h, bias_w)
    if backend in ("jax", "tensorflow") and is_fixed and backend_is_on_cpu():
        return _blockwise_relative_attention(query, key, value, bias_h, bias_w)
    if backend == "openvino" and is_fixed and 4 * query.shape[2] ** 2 > LOGITS_BYTES[backend]:
        return _looped_relative_attention(query, key, value, bias_h, bias_w)
    return _attend(query, key, value, bias_h, bias_w)


def relative_bias_attention(
    query: Any, key: Any, value: Any, distance_bias: Any, *, window_size: int
) -> Any:
    """Attention in square windows with a learned bias for each distance of query and key.

    `logit[q, k] = query[q]·key[k] / sqrt(d) + distance_bias[|qy - ky|, |qx - kx|]` of each head
    (arXiv 2104.01136, and the released code of TinyViT).

    Kernels: torch's fused attention with the bias as its mask; elsewhere an addition that fuses
    into the softmax.

    Args:
        query: tensor `(B, K, T, d)`, the `T = window_size²` tokens of a window in row-major order.
        key: tensor `(B, K, T, d)`.
        value: tensor `(B, K, T, d)`.
        distance_bias: table `(K, window_size²)`, vertical distances in row-major order.
        window_size: side of a window in tokens.

    Returns:
        Tensor `(B, K, T, d)`.
    """
    bias = ops.take(distance_bias, _distances(window_size), axis=1)[None]  # (1, K, T, T)
    if keras.backend.backend() == "torch":
        return _torch_attention(query, key, value, bias)
    logits = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -1, -2))
    return ops.matmul(masked_softmax(logits + bias, None), value)


def split_heads(tokens: Any, num_heads: int) -> Any:
    """`(B, T, K * d)` to `(B, K, T, d)`."""
    length, width = ops.shape(tokens)[1], tokens.shape[2]
    tokens = ops.reshape(tokens, (-1, length, num_heads, width // num_heads))
    return ops.transpose(tokens, (0, 2, 1, 3))


def merge_heads(tokens: Any) -> Any:
    """`(B, K, T, d)` to `(B, T, K * d)`."""
    heads, length, width = ops.shape(tokens)[1:]
    return ops.reshape(ops.transpose(tokens, (0, 2, 1, 3)), (-1, length, heads * width))


def masked_softmax(logits: Any, mask: Any, axis: int = -1) -> Any:
    """Softmax over the axis of keys in float32; a masked key gets weight 0."""
    dtype = keras.backend.standardize_dtype(logits.dtype)
    logits = ops.cast(logits, "float32")
    if mask is not None:
        logits = logits + ops.where(mask, 0.0, -1e9)  # less work than a choice for each logit
    return ops.cast(ops.softmax(logits, axis=axis), dtype)


def softmax_product(logits: Any, values: Any) -> Any:
    """`softmax(logits) values`, with the softmax in float32.

    JAX and OpenVINO divide by the sum of a row after the product, which is narrower: it spares JAX
    a pass, and keeps OpenVINO from one kernel for both products and the softmax, made for many
    queries and slow for few. PyTorch and TensorFlow have one kernel for a softmax.
    """
    if keras.backend.backend() in ("torch", "tensorflow"):
        return ops.matmul(masked_softmax(logits, None), values)
    dtype = keras.backend.standardize_dtype(values.dtype)
    logits = ops.cast(logits, "float32")
    weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    product = ops.cast(ops.matmul(ops.cast(weights, dtype), values), "float32")
    return ops.cast(product / ops.sum(weights, axis=-1, keepdims=True), dtype)


def _relative_position_terms(
    query: Any, rel_pos_h: Any, rel_pos_w: Any, grid_size: tuple[int, int]
) -> tuple[Any, Any]:
    """The bias by row and by column of the key: `(B, K, T, H)` and `(B, K, T, W)`."""
    height, width = grid_size
    heads, tokens, head_width = query.shape[1:]
    grid = ops.reshape(query, (-1, heads, height, width, head_width))
    table_h = ops.take(rel_pos_h, _offsets(height), axis=0)  # (H, H, d)
    table_w = ops.take(rel_pos_w, _offsets(width), axis=0)  # (W, W, d)
    bias_h = ops.matmul(grid, ops.swapaxes(table_h, -1, -2))  # (B, K, H, W, H)
    by_column = ops.swapaxes(grid, 2, 3)  # (B, K, W, H, d)
    bias_w = ops.matmul(by_column, ops.swapaxes(table_w, -1, -2))  # (B, K, W, H, W)
    bias_w = ops.swapaxes(bias_w, 2, 3)
    return (
        ops.reshape(bias_h, (-1, heads, tokens, height)),
        ops.reshape(bias_w, (-1, heads, tokens, width)),
    )


def _relative_logits(query: Any, key: Any, bias_h: Any, bias_w: Any) -> Any:
    """Logits `(..., K, T, S)` of queries `(..., K, T, d)` and a grid of `S = H * W` keys."""
    shape = (-1, *query.shape[1:-1])
    logits = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -1, -2))
    logits = ops.reshape(logits, (*shape, bias_h.shape[-1], bias_w.shape[-1]))
    logits = logits + bias_h[..., :, None] + bias_w[..., None, :]
    return ops.reshape(logits, (*shape, key.shape[-2]))


def _attend(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    """`relative_position_attention` in plain operations."""
    return ops.matmul(masked_softmax(_relative_logits(query, key, bias_h, bias_w), None), value)


def _looped_relative_attention(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    """`relative_position_attention` with OpenVINO, for rows of one head at a time.

    The bias is summed by itself. Otherwise OpenVINO makes one kernel of all this, which is the
    faster way for windows and the slower one here.
    """
    batch, _, tokens, head_dim = query.shape
    rows = _largest_divisor(tokens, LOGITS_BYTES["openvino"] // (4 * batch * tokens))

    def attend(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
        keys = ops.swapaxes(key * head_dim**-0.5, -1, -2)
        bias_h, bias_w = bias_h[..., :, None], bias_w[..., None, :]
        blocks = []
        for row in range(0, tokens, rows):
            block = slice(None), slice(None), slice(row, row + rows)
            bias = bias_h[block] + bias_w[block]  # (B, 1, rows, H, W)
            logits = ops.reshape(ops.matmul(query[block], keys), bias.shape) + bias
            weights = ops.softmax(ops.reshape(logits, (batch, 1, rows, tokens)))
            blocks.append(ops.matmul(weights, value))
        return ops.concatenate(blocks, axis=2)

    return openvino_loop(attend, (query, key, value, bias_h, bias_w), axis=1)


def _blockwise_relative_attention(
    query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any
) -> Any:
    """`relative_position_attention` for as many heads or rows at a time as fit the cache."""
    batch, all_heads, tokens, head_dim = query.shape
    heads, rows = _block_size(batch * all_heads, tokens)
    groups, blocks = batch * all_heads // heads, tokens // rows

    def split(array: Any) -> Any:
        # Either a block has all rows, or it has one head.
        return ops.reshape(array, (groups * blocks, heads, rows, array.shape[-1]))

    keys, values = (ops.reshape(x, (groups, heads, tokens, head_dim)) for x in (key, value))

    def attend(block: tuple[Any, ...]) -> Any:
        group, query, bias_h, bias_w = block
        key, value = keys[group], values[group]
        return softmax_product(_relative_logits(query, key, bias_h, bias_w), value)

    group = ops.convert_to_tensor(np.arange(groups * blocks, dtype="int32") // blocks)
    parts = group, *map(split, (query, bias_h, bias_w))
    if groups * blocks == 1:
        attended = attend(tuple(part[0] for part in parts))
    else:
        attended = ops.map(attend, parts)
    return ops.reshape(attended, query.shape)


def _block_size(heads: int, tokens: int) -> tuple[int, int]:
    """Heads and rows of a block of `LOGITS_BYTES` at most: several whole heads, or rows of one."""
    most, of_row = LOGITS_BYTES[keras.backend.backend()], 4 * tokens
    if of_row * tokens > most:
        return 1, _largest_divisor(tokens, most // of_row)
    return _largest_divisor(heads, most // (of_row * tokens)), tokens


def _largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is no more than `most`; 1 at least."""
    return next(d for d in range(min(number, max(most, 1)), 0, -1) if number % d == 0)


def _offsets(length: int) -> np.ndarray:
    """Rows of a relative table for each query and key: `(length, length)` int32."""
    positions = np.arange(length, dtype="int32")
    return positions[:, None] - positions[None, :] + (length - 1)


@functools.cache
def _distances(window_size: int) -> np.ndarray:
    """Columns of a table of distances for each query and key: `(T, T)` int32."""
    rows, columns = np.divmod(np.arange(window_size**2, dtype="int32"), window_size)
    vertical = np.abs(rows[:, None] - rows[None, :])
    horizontal = np.abs(columns[:, None] - columns[None, :])
    return vertical * window_size + horizontal


def _trains_on_cpu(tensor: Any) -> bool:
    import torch

    return torch.is_grad_enabled() and tensor.device.type == "cpu"


def _torch_attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
    from torch.nn.functional import scaled_dot_product_attention

    if query.shape[0] != key.shape[0]:
        query = query.expand(key.shape[0], -1, -1, -1)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _torch_relative_attention(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if torch.is_grad_enabled():
        bias = (bias_h[..., :, None] + bias_w[..., None, :]).flatten(-2)
        return scaled_dot_product_attention(query, key, value, attn_mask=bias)
    batch, all_heads, tokens = query.shape[:3]
    heads, rows = _bias_part(query)
    grid_size = bias_h.shape[-1], bias_w.shape[-1]
    bias = query.new_empty((batch, heads, rows, *grid_size))
    outputs = torch.empty_like(query)
    for first in range(0, all_heads, heads):
        head = slice(first, first + heads)
        for start in range(0, tokens, rows):
            part = (slice(None), head, slice(start, start + rows))
            count = query[part].shape[1:3]
            mask = bias[:, : count[0], : count[1]]
            torch.add(bias_h[part][..., :, None], bias_w[part][..., None, :], out=mask)
            outputs[part] = scaled_dot_product_attention(
                query[part], key[:, head], value[:, head], attn_mask=mask.flatten(-2)
            )
    return outputs


def _bias_part(query: Any) -> tuple[int, int]:
    """For how many heads and rows of queries `(B, K, T, d)` the bias is made at a time."""
    batch, heads, tokens, _ = query.shape
    most = BIAS_BYTES.get(query.device.type, BIAS_BYTES_OF_OTHERS)
    of_row = batch * tokens * query.element_size()
    if of_row * tokens > most:
        return 1, max(1, most // of_row)
    return min(heads, most // (of_row * tokens)), tokens
