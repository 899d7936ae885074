"""Attention between few tokens and many, without a projection of the many.

A projection of the many tokens is a product of two matrices with a third, whose order is free:
`query (keys W)ᵀ = (query Wᵀ) keysᵀ`, and `softmax (values W) = (softmax values) W`. For N few
tokens and K heads the many then meet `K N` columns instead of `K d`, which is less while `N < d`.
The bias of a key adds the same to all logits of a query, so the softmax takes it out.

Where many attend to few, the heads of a logit lie next to each other, not the few: a softmax over
seven numbers in a row fills no vector register, one over seven rows of eight heads does.
"""

from typing import Any

from keras import ops

from keras_sam.layers.attention import masked_softmax, softmax_product


def token_to_image_attention_folded(
    query: Any, many_keys: Any, many_values: Any, key_kernel: Any, value_kernel: Any
) -> Any:
    """Few tokens attend to many: `softmax(query (keys Wk)ᵀ / sqrt(d)) (values Wv)`.

    Args:
        query: tensor `(B, K, N, d)`, projected.
        many_keys: tensor `(B, T, D)`.
        many_values: tensor `(B, T, D)`.
        key_kernel: tensor `(D, K * d)`.
        value_kernel: tensor `(D, K * d)`.

    Returns:
        Tensor `(B, K, N, d)`, to which the bias of the values is still to be added.
    """
    heads, few, head_dim = query.shape[1:]
    width = many_keys.shape[-1]
    absorbed = ops.matmul(query * head_dim**-0.5, _split_columns(key_kernel, heads))
    absorbed = ops.reshape(absorbed, (-1, heads * few, width))
    logits = ops.matmul(absorbed, ops.swapaxes(many_keys, 1, 2))
    mixed = softmax_product(logits, many_values)  # (B, K * N, D)
    mixed = ops.reshape(mixed, (-1, heads, few, width))
    return ops.matmul(mixed, ops.swapaxes(_split_columns(value_kernel, heads), 1, 2))


def image_to_token_attention_folded(
    logits: Any, values: Any, output_kernel: Any, *, mask: Any = None
) -> Any:
    """Many tokens attend to few, projected to their width: `(softmax(logits) values) Wo`.

    Args:
        logits: tensor `(B, T, N, K)`.
        values: tensor `(B, K, N, d)`, projected.
        output_kernel: tensor `(K * d, D)`.
        mask: boolean tensor `(B, N)` of the few, or `None` for all.

    Returns:
        Tensor `(B, T, D)`, to which the bias of the output is still to be added.
    """
    many, few, heads = logits.shape[1:]
    head_dim, width = values.shape[-1], output_kernel.shape[-1]
    mask = None if mask is None else mask[:, None, :, None]
    weights = ops.reshape(masked_softmax(logits, mask, axis=2), (-1, many, few * heads))
    absorbed = ops.matmul(values, ops.reshape(output_kernel, (heads, head_dim, width)))
    return ops.matmul(weights, _heads_last(absorbed))


def folded_logits(many: Any, keys: Any, query_kernel: Any, query_bias: Any) -> Any:
    """Logits of many queries, not projected, and few keys: `(many Wq + bq) keysᵀ / sqrt(d)`.

    Args:
        many: tensor `(B, T, D)`.
        keys: tensor `(B, K, N, d)`, projected.
        query_kernel: tensor `(D, K * d)`.
        query_bias: tensor `(K * d,)`.

    Returns:
        Tensor `(B, T, N, K)`.
    """
    heads, few, head_dim = keys.shape[1:]
    keys = keys * head_dim**-0.5
    absorbed = ops.matmul(keys, _split_columns(query_kernel, heads))  # (B, K, N, D)
    of_bias = ops.matmul(keys, ops.reshape(query_bias, (heads, head_dim, 1)))  # (B, K, N, 1)
    logits = ops.matmul(many, ops.swapaxes(_heads_last(absorbed), 1, 2))
    logits = logits + ops.swapaxes(_heads_last(of_bias), 1, 2)
    return ops.reshape(logits, (-1, many.shape[1], few, heads))


def shared_logits(queries: Any, keys: Any, *, prompts: Any) -> Any:
    """Logits of the queries of an image, which its prompts share, and their few keys.

    Args:
        queries: tensor `(B, K, T, d)`, projected.
        keys: tensor `(B * P, K, N, d)`, projected.
        prompts: the number P.

    Returns:
        Tensor `(B * P, T, N, K)`.
    """
    heads, few, head_dim = keys.shape[1:]
    many = queries.shape[2]
    keys = ops.reshape(keys * head_dim**-0.5, (-1, prompts, heads, few, head_dim))
    keys = ops.transpose(keys, (0, 2, 4, 1, 3))  # (B, K, d, P, N)
    keys = ops.reshape(keys, (-1, heads, head_dim, prompts * few))
    logits = ops.matmul(queries, keys)  # (B, K, T, P * N)
    logits = ops.reshape(logits, (-1, heads, many, prompts, few))
    logits = ops.transpose(logits, (0, 3, 2, 4, 1))  # (B, P, T, N, K)
    return ops.reshape(logits, (-1, many, few, heads))


def _heads_last(array: Any) -> Any:
    """`(B, K, N, ...)` as `(B, N * K, ...)`."""
    heads, few, width = array.shape[1:]
    return ops.reshape(ops.swapaxes(array, 1, 2), (-1, few * heads, width))


def _split_columns(kernel: Any, heads: int) -> Any:
    """A kernel `(D, K * d)` as `(K, d, D)`."""
    width, inner = kernel.shape
    return ops.transpose(ops.reshape(kernel, (width, heads, inner // heads)), (1, 2, 0))
