"""Attention between few prompt tokens and many image tokens, without projecting the image tokens.

A projection inside attention is a product of three matrices, and their order is free:
`query (keys W)ᵀ = (query Wᵀ) keysᵀ`, and `softmax (values W) = (softmax values) W`. Folding the
projection into the T prompt tokens multiplies the image tokens by `K T` columns instead of `K d`,
which is less work if `T < d`. The bias of the keys adds a constant to all logits of a query, which
cancels in the softmax.

Where image tokens attend to prompt tokens, the logits `(B, S, T, K)` have the heads on the last
axis. A softmax over seven adjacent numbers would not fill a vector register; one over seven rows of
eight heads does.
"""

from typing import Any

from keras import ops

from keras_sam.layers.attention import masked_softmax, softmax_product


def token_to_image_attention(
    query: Any, image_keys: Any, image_values: Any, key_kernel: Any, value_kernel: Any
) -> Any:
    """Attention of tokens to image tokens: `softmax(query (keys Wk)ᵀ / sqrt(d)) (values Wv)`.

    Args:
        query: Projected queries of the tokens `(B, K, T, d)`.
        image_keys: Image tokens before the projection `(B, S, D)`.
        image_values: Image tokens before the projection `(B, S, D)`.
        key_kernel: Kernel of the key projection `(D, K * d)`.
        value_kernel: Kernel of the value projection `(D, K * d)`.

    Returns:
        Attended values `(B, K, T, d)`, without the bias of the value projection.
    """
    heads, num_tokens, head_dim = ops.shape(query)[1:]
    width = image_keys.shape[-1]
    folded_query = ops.matmul(query * head_dim**-0.5, _split_columns(key_kernel, heads))
    folded_query = ops.reshape(folded_query, (-1, heads * num_tokens, width))
    logits = ops.matmul(folded_query, ops.swapaxes(image_keys, 1, 2))
    mixed = softmax_product(logits, image_values)  # (B, K * T, D)
    mixed = ops.reshape(mixed, (-1, heads, num_tokens, width))
    return ops.matmul(mixed, ops.swapaxes(_split_columns(value_kernel, heads), 1, 2))


def image_to_token_attention(
    logits: Any, token_values: Any, output_kernel: Any, *, mask: Any = None
) -> Any:
    """Attention of image tokens to tokens, with the output projection: `softmax(logits) values Wo`.

    Args:
        logits: Logits `(B, S, T, K)` of `folded_logits` or `shared_logits`.
        token_values: Projected values of the tokens `(B, K, T, d)`.
        output_kernel: Kernel of the output projection `(K * d, D)`.
        mask: Boolean `(B, T)`, False for tokens to ignore. If `None`, no token is ignored.

    Returns:
        Image tokens `(B, S, D)`, without the bias of the output projection.
    """
    num_image_tokens, num_tokens, heads = ops.shape(logits)[1:]
    head_dim, width = token_values.shape[-1], output_kernel.shape[-1]
    mask = None if mask is None else mask[:, None, :, None]
    weights = masked_softmax(logits, mask, axis=2)
    weights = ops.reshape(weights, (-1, num_image_tokens, num_tokens * heads))
    output_kernel = ops.reshape(output_kernel, (heads, head_dim, width))
    return ops.matmul(weights, _heads_last(ops.matmul(token_values, output_kernel)))


def folded_logits(image_tokens: Any, token_keys: Any, query_kernel: Any, query_bias: Any) -> Any:
    """Logits of image tokens that are not projected: `(image Wq + bq) keysᵀ / sqrt(d)`.

    Args:
        image_tokens: Image tokens before the projection `(B, S, D)`.
        token_keys: Projected keys of the tokens `(B, K, T, d)`.
        query_kernel: Kernel of the query projection `(D, K * d)`.
        query_bias: Bias of the query projection `(K * d,)`.

    Returns:
        Logits `(B, S, T, K)`.
    """
    heads, num_tokens, head_dim = ops.shape(token_keys)[1:]
    keys = token_keys * head_dim**-0.5
    folded_keys = ops.matmul(keys, _split_columns(query_kernel, heads))  # (B, K, T, D)
    bias = ops.matmul(keys, ops.reshape(query_bias, (heads, head_dim, 1)))  # (B, K, T, 1)
    logits = ops.matmul(image_tokens, ops.swapaxes(_heads_last(folded_keys), 1, 2))
    logits = logits + ops.swapaxes(_heads_last(bias), 1, 2)
    return ops.reshape(logits, (-1, image_tokens.shape[1], num_tokens, heads))


def shared_logits(image_queries: Any, token_keys: Any, *, prompts: Any) -> Any:
    """Logits of image queries that all prompts of an image share: `queries keysᵀ / sqrt(d)`.

    Args:
        image_queries: Projected queries of the image tokens `(B, K, S, d)`.
        token_keys: Projected keys of the tokens `(B * P, K, T, d)`.
        prompts: Number P of prompts per image.

    Returns:
        Logits `(B * P, S, T, K)`.
    """
    heads, num_tokens, head_dim = ops.shape(token_keys)[1:]
    num_image_tokens = image_queries.shape[2]
    keys = ops.reshape(token_keys * head_dim**-0.5, (-1, prompts, heads, num_tokens, head_dim))
    keys = ops.transpose(keys, (0, 2, 4, 1, 3))  # (B, K, d, P, T)
    keys = ops.reshape(keys, (-1, heads, head_dim, prompts * num_tokens))
    logits = ops.matmul(image_queries, keys)  # (B, K, S, P * T)
    logits = ops.reshape(logits, (-1, heads, num_image_tokens, prompts, num_tokens))
    logits = ops.transpose(logits, (0, 3, 2, 4, 1))  # (B, P, S, T, K)
    return ops.reshape(logits, (-1, num_image_tokens, num_tokens, heads))


def _heads_last(array: Any) -> Any:
    """Reshape `(B, K, T, C)` to `(B, T * K, C)`."""
    heads, num_tokens, width = ops.shape(array)[1:]
    return ops.reshape(ops.swapaxes(array, 1, 2), (-1, num_tokens * heads, width))


def _split_columns(kernel: Any, heads: int) -> Any:
    """Reshape a kernel `(D, K * d)` to one kernel per head `(K, d, D)`."""
    width, inner_dim = kernel.shape
    return ops.transpose(ops.reshape(kernel, (width, heads, inner_dim // heads)), (1, 2, 0))
