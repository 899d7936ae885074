"""Attention functions: one for each kind, with the fastest kernel of each backend."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.layers.device import backend_is_on_cpu
from keras_sam.layers.export_mode import is_exporting
from keras_sam.layers.openvino_loop import openvino_loop

# Bytes of the position bias that torch computes at a time in inference, in a reused buffer. On a
# CPU the buffer stays in the cache. The whole bias of a 64 x 64 grid with 12 heads takes 805 MB in
# float32.
BIAS_BYTES = {"cpu": 2**23}
DEFAULT_BIAS_BYTES = 2**29  # on other devices
# Bytes of the logits that other backends compute at a time on a CPU, for the same reason.
LOGITS_BYTES = {"jax": 2**22, "tensorflow": 2**23, "openvino": 2**23}


def attention(query: Any, key: Any, value: Any, *, mask: Any = None) -> Any:
    """Scaled dot-product attention: `softmax(query keyᵀ / sqrt(d)) value`.

    Kernels: torch uses its fused attention, which never stores the logits. The exception is
    training on a CPU, where the fused backward pass is slower than that of plain products. Other
    backends use a matrix product, a float32 softmax and a matrix product, which their compilers
    fuse.

    Args:
        query: Queries `(B, K, T, d)`: batch, heads, tokens, width of a head. The batch axis may
            be 1 where that of `key` and `value` is larger.
        key: Keys `(B, K, S, d)`.
        value: Values `(B, K, S, d)`.
        mask: Boolean `(B, S)`, False for keys to ignore. If `None`, no key is ignored.

    Returns:
        Attended values `(B, K, T, d)`.
    """
    if mask is not None:
        mask = mask[:, None, None, :]  # (B, 1, 1, S)
    if keras.backend.backend() == "torch" and not _trains_on_cpu(query, key, value):
        return _torch_attention(query, key, value, mask)
    logits = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -1, -2))
    return ops.matmul(masked_softmax(logits, mask), value)


def relative_position_attention(
    query: Any, key: Any, value: Any, rel_pos_h: Any, rel_pos_w: Any, *, grid_size: tuple[int, int]
) -> Any:
    """Attention over a grid with the decomposed relative position bias of ViTDet and SAM.

    `logit[q, k] = query[q]·key[k] / sqrt(d) + query[q]·rel_pos_h[qh - kh + H - 1]
    + query[q]·rel_pos_w[qw - kw + W - 1]`. The query of the bias is not scaled (arXiv 2112.01526,
    and the released code of SAM).

    Kernels: torch uses its fused attention with the bias as an additive mask. Other backends, and
    torch when it trains on a CPU, use two broadcast additions that fuse into the softmax. To save
    memory, torch in inference computes some heads or rows at a time. JAX and TensorFlow do so on a
    CPU, and OpenVINO for large grids. An export uses plain operations.

    Args:
        query: Queries `(B, K, T, d)`, `T = H * W` tokens in row-major order.
        key: Keys `(B, K, T, d)`.
        value: Values `(B, K, T, d)`.
        rel_pos_h: Embeddings of vertical offsets `(2 H - 1, d)`.
        rel_pos_w: Embeddings of horizontal offsets `(2 W - 1, d)`.
        grid_size: Grid size `(H, W)` in tokens.

    Returns:
        Attended values `(B, K, T, d)`.
    """
    bias_h, bias_w = _relative_position_terms(query, rel_pos_h, rel_pos_w, grid_size)
    if is_exporting():
        return _plain_relative_attention(query, key, value, bias_h, bias_w)
    backend, is_static = keras.backend.backend(), isinstance(query.shape[0], int)
    if backend == "torch" and not _trains_on_cpu(query, key, value, bias_h, bias_w):
        return _torch_relative_attention(query, key, value, bias_h, bias_w)
    if backend in ("jax", "tensorflow") and is_static and backend_is_on_cpu():
        return _blockwise_relative_attention(query, key, value, bias_h, bias_w)
    if backend == "openvino" and is_static and 4 * query.shape[2] ** 2 > LOGITS_BYTES[backend]:
        return _looped_relative_attention(query, key, value, bias_h, bias_w)
    return _plain_relative_attention(query, key, value, bias_h, bias_w)


def relative_bias_attention(
    query: Any, key: Any, value: Any, distance_bias: Any, *, window_size: int
) -> Any:
    """Attention in square windows with a learned bias for each distance between query and key.

    `logit[q, k] = query[q]·key[k] / sqrt(d) + distance_bias[|qy - ky|, |qx - kx|]`, with one bias
    table per head (arXiv 2104.01136, and the released code of TinyViT).

    Kernels: torch uses its fused attention with the bias as an additive mask. Other backends add
    the bias, which fuses into the softmax.

    Args:
        query: Queries `(B, K, T, d)`, the `T = window_size²` tokens of a window in row-major order.
        key: Keys `(B, K, T, d)`.
        value: Values `(B, K, T, d)`.
        distance_bias: Bias table `(K, window_size²)`. Column `dy * window_size + dx` is for the
            distances `dy` and `dx` in tokens.
        window_size: Side of a window in tokens.

    Returns:
        Attended values `(B, K, T, d)`.
    """
    # Along the first axis, since Keras' torch backend (3.15) squeezes others, which ONNX rejects.
    bias = ops.take(ops.transpose(distance_bias), _distances(window_size), axis=0)  # (T, T, K)
    bias = ops.transpose(bias, (2, 0, 1))[None]  # (1, K, T, T)
    if keras.backend.backend() == "torch":
        return _torch_attention(query, key, value, bias)
    logits = ops.matmul(query * query.shape[-1] ** -0.5, ops.swapaxes(key, -1, -2))
    return ops.matmul(masked_softmax(logits + bias, None), value)


def split_heads(tokens: Any, num_heads: int) -> Any:
    """Reshape tokens `(B, T, K * d)` to heads `(B, K, T, d)`."""
    length, width = ops.shape(tokens)[1], tokens.shape[2]
    tokens = ops.reshape(tokens, (-1, length, num_heads, width // num_heads))
    return ops.transpose(tokens, (0, 2, 1, 3))


def merge_heads(tokens: Any) -> Any:
    """Reshape heads `(B, K, T, d)` to tokens `(B, T, K * d)`."""
    heads, length, width = ops.shape(tokens)[1:]
    return ops.reshape(ops.transpose(tokens, (0, 2, 1, 3)), (-1, length, heads * width))


def masked_softmax(logits: Any, mask: Any, axis: int = -1) -> Any:
    """Softmax over the axis of the keys, in float32. Masked keys get weight 0."""
    dtype = keras.backend.standardize_dtype(logits.dtype)
    logits = ops.cast(logits, "float32")
    if mask is not None:
        logits = logits + ops.where(mask, 0.0, -1e9)  # cheaper than `where` on all logits
    return ops.cast(ops.softmax(logits, axis=axis), dtype)


def softmax_product(logits: Any, values: Any) -> Any:
    """`softmax(logits) values`, with the softmax in float32.

    JAX and OpenVINO divide by the row sums after the product, which has fewer columns. This saves
    JAX a pass over the logits. It also prevents OpenVINO from fusing the products and the softmax
    into a kernel that is slow for few queries. torch and TensorFlow have a fast softmax kernel.

    Args:
        logits: Logits `(..., T, S)`.
        values: Values `(..., S, d)`.

    Returns:
        Attended values `(..., T, d)`.
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
    """Bias for each row and for each column of keys: `(B, K, T, H)` and `(B, K, T, W)`."""
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


def _plain_relative_attention(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    """`relative_position_attention` without blocks."""
    return ops.matmul(masked_softmax(_relative_logits(query, key, bias_h, bias_w), None), value)


def _looped_relative_attention(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    """`relative_position_attention` with OpenVINO, some rows of one head at a time.

    The two bias terms are added to each other first. Otherwise OpenVINO fuses everything into one
    kernel, which is faster for windows but slower for large grids.
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
    """`relative_position_attention`, as many heads or rows at a time as fit in the cache."""
    batch, all_heads, tokens, head_dim = query.shape
    heads, rows = _block_size(batch * all_heads, tokens)
    groups, blocks = batch * all_heads // heads, tokens // rows

    def split(array: Any) -> Any:
        # A block has all rows of several heads, or some rows of one head.
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
    """Number of heads and rows in a block of at most `LOGITS_BYTES`."""
    max_bytes, row_bytes = LOGITS_BYTES[keras.backend.backend()], 4 * tokens
    if row_bytes * tokens > max_bytes:
        return 1, _largest_divisor(tokens, max_bytes // row_bytes)
    return _largest_divisor(heads, max_bytes // (row_bytes * tokens)), tokens


def _largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is at most `limit`, or 1."""
    return next(d for d in range(min(number, max(limit, 1)), 0, -1) if number % d == 0)


def _offsets(length: int) -> np.ndarray:
    """Row of a relative position table for each query and key: `(length, length)` int32."""
    positions = np.arange(length, dtype="int32")
    return positions[:, None] - positions[None, :] + (length - 1)


@functools.cache
def _distances(window_size: int) -> np.ndarray:
    """Column of a distance table for each query and key: `(T, T)` int32."""
    rows, columns = np.divmod(np.arange(window_size**2, dtype="int32"), window_size)
    vertical = np.abs(rows[:, None] - rows[None, :])
    horizontal = np.abs(columns[:, None] - columns[None, :])
    return vertical * window_size + horizontal


def _trains_on_cpu(*tensors: Any) -> bool:
    return tensors[0].device.type == "cpu" and _needs_gradients(*tensors)


def _needs_gradients(*tensors: Any) -> bool:
    """Return True if torch records gradients of a tensor. It does not within frozen layers."""
    import torch

    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _torch_attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
    from torch.nn.functional import scaled_dot_product_attention

    if query.shape[0] != key.shape[0]:
        query = query.expand(key.shape[0], -1, -1, -1)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _torch_relative_attention(query: Any, key: Any, value: Any, bias_h: Any, bias_w: Any) -> Any:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if _needs_gradients(query, key, value, bias_h, bias_w):
        bias = (bias_h[..., :, None] + bias_w[..., None, :]).flatten(-2)
        return scaled_dot_product_attention(query, key, value, attn_mask=bias)
    batch, all_heads, tokens = query.shape[:3]
    heads, rows = _bias_block_size(query)
    grid_size = bias_h.shape[-1], bias_w.shape[-1]
    bias = query.new_empty((batch, heads, rows, *grid_size))
    outputs = torch.empty_like(query)
    for first in range(0, all_heads, heads):
        head = slice(first, first + heads)
        for start in range(0, tokens, rows):
            block = (slice(None), head, slice(start, start + rows))
            block_heads, block_rows = query[block].shape[1:3]
            mask = bias[:, :block_heads, :block_rows]
            torch.add(bias_h[block][..., :, None], bias_w[block][..., None, :], out=mask)
            outputs[block] = scaled_dot_product_attention(
                query[block], key[:, head], value[:, head], attn_mask=mask.flatten(-2)
            )
    return outputs


def _bias_block_size(query: Any) -> tuple[int, int]:
    """Number of heads and rows in a block of the bias for queries `(B, K, T, d)`."""
    batch, heads, tokens, _ = query.shape
    max_bytes = BIAS_BYTES.get(query.device.type, DEFAULT_BIAS_BYTES)
    row_bytes = batch * tokens * query.element_size()
    if row_bytes * tokens > max_bytes:
        return 1, max(1, max_bytes // row_bytes)
    return min(heads, max_bytes // (row_bytes * tokens)), tokens
