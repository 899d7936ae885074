"""Attention of few tokens and many, with and without a projection of the many."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.downsampled_attention import DownsampledAttention

HEADS, WIDTH, MANY = 2, 16, 6  # heads of 4 after the reduction: three tokens are few, five are not


@pytest.fixture(scope="module")
def layer() -> DownsampledAttention:
    layer = DownsampledAttention(WIDTH, HEADS, downsample_rate=2)
    layer.build()
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape).astype("float32"))
    return layer


def random(*shape: int, seed: int):
    array = np.random.default_rng(seed).normal(size=shape).astype("float32")
    return ops.convert_to_tensor(array)


def assert_close(found, expected):
    found, expected = (ops.convert_to_numpy(array) for array in (found, expected))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("few", "is_absorbed"), [(3, True), (5, False)])
def test_few_to_many_equals_a_call(layer, few, is_absorbed):
    assert layer.folds_projections(few) is is_absorbed
    tokens = random(2, few, WIDTH, seed=1)
    keys, values = random(2, MANY, WIDTH, seed=2), random(2, MANY, WIDTH, seed=3)
    assert_close(layer.token_to_image(tokens, keys, values), layer(tokens, keys, values))


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("few", [3, 5])
def test_many_to_few_equals_a_call(layer, few, is_masked):
    many = random(2, MANY, WIDTH, seed=1)
    keys, values = random(2, few, WIDTH, seed=2), random(2, few, WIDTH, seed=3)
    mask = np.ones((2, few), bool)
    mask[0, 1:] = False
    mask = ops.convert_to_tensor(mask) if is_masked else None
    assert_close(layer.image_to_token(many, keys, values, mask), layer(many, keys, values, mask))


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("few", [3, 5])
def test_prompts_share_the_queries_of_their_image(layer, few, images):
    prompts = 3
    many = random(images, MANY, WIDTH, seed=1)
    keys, values = (random(images * prompts, few, WIDTH, seed=seed) for seed in (2, 3))
    queries = layer.heads(layer.query, many)
    found = layer.image_to_token(queries, keys, values, prompts=prompts)
    assert_close(found, layer(ops.repeat(many, prompts, axis=0), keys, values))
