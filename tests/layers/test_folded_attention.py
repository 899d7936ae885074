"""Attention with folded projections, compared with projecting the image tokens in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.folded_attention import (
    folded_logits,
    image_to_token_attention,
    shared_logits,
    token_to_image_attention,
)
from tests.layers.numpy_reference import (
    assert_close,
    merge_heads,
    random,
    softmax,
    split_heads,
)

B, K, T, S, D, INNER = 2, 2, 3, 7, 5, 8  # heads are INNER / K = 4 wide


def tensors(*arrays: np.ndarray) -> list:
    return [ops.convert_to_tensor(array) for array in arrays]


def test_token_to_image_attention_equals_projecting_the_image_tokens():
    query, keys, values = random(B, K, T, 4), random(B, S, D, seed=1), random(B, S, D, seed=2)
    key_kernel, value_kernel = random(D, INNER, seed=3), random(D, INNER, seed=4)
    key, value = split_heads(keys @ key_kernel, K), split_heads(values @ value_kernel, K)
    weights = softmax(np.einsum("bktd,bksd->bkts", query, key) / 2)
    expected = np.einsum("bkts,bksd->bktd", weights, value)
    actual = token_to_image_attention(*tensors(query, keys, values, key_kernel, value_kernel))
    assert_close(actual, expected)


def test_folded_logits_equal_projecting_the_image_tokens():
    image_tokens, keys = random(B, S, D), random(B, K, T, 4, seed=1)
    kernel, bias = random(D, INNER, seed=2), random(INNER, seed=3)
    query = split_heads(image_tokens @ kernel + bias, K)
    expected = np.einsum("bksd,bktd->bstk", query, keys) / 2
    assert_close(folded_logits(*tensors(image_tokens, keys, kernel, bias)), expected)


@pytest.mark.parametrize("prompts", [1, 3])
def test_shared_logits_equal_logits_of_repeated_queries(prompts):
    queries, keys = random(B, K, S, 4), random(B * prompts, K, T, 4, seed=1)
    repeated = np.repeat(queries, prompts, axis=0)
    expected = np.einsum("bksd,bktd->bstk", repeated, keys) / 2
    assert_close(shared_logits(*tensors(queries, keys), prompts=prompts), expected)


@pytest.mark.parametrize("is_masked", [False, True])
def test_image_to_token_attention_equals_projecting_its_output(is_masked):
    logits, values, kernel = random(B, S, T, K), random(B, K, T, 4, seed=1), random(8, D, seed=2)
    mask = np.array([[True, True, False], [True, False, True]])
    masked = np.where(mask[:, None, :, None], logits, -np.inf) if is_masked else logits
    weights = softmax(masked.transpose(0, 3, 1, 2))  # (B, K, S, T)
    expected = merge_heads(np.einsum("bkst,bktd->bksd", weights, values)) @ kernel
    options = {"mask": ops.convert_to_tensor(mask)} if is_masked else {}
    assert_close(image_to_token_attention(*tensors(logits, values, kernel), **options), expected)
