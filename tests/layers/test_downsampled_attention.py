"""Attention between prompt tokens and image tokens, with and without folded projections."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.downsampled_attention import DownsampledAttention
from keras_sam.layers.export_mode import export_mode
from tests.layers.numpy_reference import (
    assert_close,
    multi_head_attention,
    random,
    randomize,
)

# A head is 4 wide: projections are folded for three tokens, but not for five.
HEADS, WIDTH, NUM_IMAGE_TOKENS = 2, 16, 6
each_number = pytest.mark.parametrize("num_tokens", [3, 5])


@pytest.fixture(scope="module")
def layer() -> DownsampledAttention:
    layer = DownsampledAttention(WIDTH, HEADS, downsample_rate=2)
    layer.build()
    return randomize(layer, scale=0.5)


def tensor(array):
    return ops.convert_to_tensor(array)


def padding_mask(num_tokens: int) -> np.ndarray:
    mask = np.ones((2, num_tokens), bool)
    mask[0, 1:] = False
    return mask


@pytest.mark.parametrize("mask", [None, padding_mask(5)])
def test_a_call_equals_einsum(layer, mask):
    query, key, value = (
        random(2, 4, WIDTH),
        random(2, 5, WIDTH, seed=1),
        random(2, 5, WIDTH, seed=2),
    )
    expected = multi_head_attention(layer, query, key, value, mask)
    mask = None if mask is None else tensor(mask)
    assert_close(layer(tensor(query), tensor(key), tensor(value), mask), expected)


def test_few_tokens_fold_projections(layer):
    assert layer.folds_projections(3)
    assert not layer.folds_projections(5)
    assert not layer.folds_projections(None)
    with export_mode():
        assert layer.folds_projections(None)
        assert not layer.folds_projections(5)


@each_number
def test_token_to_image_equals_einsum(layer, num_tokens):
    tokens = random(2, num_tokens, WIDTH)
    keys, values = (random(2, NUM_IMAGE_TOKENS, WIDTH, seed=seed) for seed in (1, 2))
    actual = layer.token_to_image(tensor(tokens), tensor(keys), tensor(values))
    assert_close(actual, multi_head_attention(layer, tokens, keys, values))


@each_number
@pytest.mark.parametrize("is_masked", [False, True])
def test_image_to_token_equals_einsum(layer, num_tokens, is_masked):
    image_tokens = random(2, NUM_IMAGE_TOKENS, WIDTH)
    keys, values = (random(2, num_tokens, WIDTH, seed=seed) for seed in (1, 2))
    mask = padding_mask(num_tokens) if is_masked else None
    expected = multi_head_attention(layer, image_tokens, keys, values, mask)
    mask = tensor(mask) if is_masked else None
    actual = layer.image_to_token(tensor(image_tokens), tensor(keys), tensor(values), mask)
    assert_close(actual, expected)


@each_number
@pytest.mark.parametrize("images", [1, 2])
def test_prompts_share_the_queries_of_their_image(layer, num_tokens, images):
    prompts = 3
    image_tokens = random(images, NUM_IMAGE_TOKENS, WIDTH)
    keys, values = (random(images * prompts, num_tokens, WIDTH, seed=seed) for seed in (1, 2))
    queries = layer.heads(layer.query, tensor(image_tokens))
    actual = layer.image_to_token(queries, tensor(keys), tensor(values), prompts=prompts)
    expected = multi_head_attention(layer, np.repeat(image_tokens, prompts, axis=0), keys, values)
    assert_close(actual, expected)


@pytest.mark.torch
def test_exported_layer_accepts_any_number_of_prompts_and_tokens(layer):
    import torch

    class SharedQueries(torch.nn.Module):
        def forward(self, queries, keys, values):
            return layer.image_to_token(queries, keys, values, prompts=keys.shape[0])

    def inputs(prompts, num_tokens):
        image_tokens = tensor(random(1, NUM_IMAGE_TOKENS, WIDTH))
        keys, values = (tensor(random(prompts, num_tokens, WIDTH, seed=seed)) for seed in (1, 2))
        return layer.heads(layer.query, image_tokens), keys, values

    sizes = {0: torch.export.Dim("prompts"), 1: torch.export.Dim("tokens")}
    with export_mode(), torch.no_grad():
        program = torch.export.export(
            SharedQueries(), inputs(2, 3), dynamic_shapes=(None, sizes, sizes), strict=False
        )
    for prompts, num_tokens in ((5, 2), (1, 7)):
        arrays = inputs(prompts, num_tokens)
        assert_close(program.module()(*arrays), SharedQueries()(*arrays))


def test_a_head_is_at_least_1_wide():
    layer = DownsampledAttention(8, 8, downsample_rate=2)
    layer.build()
    randomize(layer)
    tokens = random(1, 3, 8)
    actual = layer(tensor(tokens), tensor(tokens), tensor(tokens))
    assert_close(actual, multi_head_attention(layer, tokens, tokens, tokens))


# Keras warns of it with OpenVINO, which has no gradients.
@pytest.mark.filterwarnings("ignore:`custom_gradient`:UserWarning")
@each_number
def test_quantized_projections_are_scaled(num_tokens):
    layer = DownsampledAttention(WIDTH, HEADS, downsample_rate=2)
    layer.build()
    randomize(layer, scale=0.5)
    tokens, image = random(2, num_tokens, WIDTH), random(2, NUM_IMAGE_TOKENS, WIDTH, seed=1)

    def outputs():
        tensors = tensor(tokens), tensor(image)
        return [
            ops.convert_to_numpy(output)
            for output in (
                layer.token_to_image(tensors[0], tensors[1], tensors[1]),
                layer.image_to_token(tensors[1], tensors[0], tensors[0]),
            )
        ]

    expected = outputs()
    for dense in (layer.query, layer.key, layer.value, layer.output_projection):
        dense.quantize("int8")
    for found, exact in zip(outputs(), expected, strict=True):
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        assert 1e-4 < error < 0.03


@pytest.mark.training
def test_all_weights_get_gradients_of_folded_projections():
    inputs = keras.Input((3, WIDTH)), keras.Input((NUM_IMAGE_TOKENS, WIDTH))
    layer = DownsampledAttention(WIDTH, HEADS, downsample_rate=2)

    class Attention(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def build(self, shapes):
            layer.build()

        def call(self, inputs):
            return layer.token_to_image(inputs[0], inputs[1], inputs[1])

    model = keras.Model(inputs, Attention()(inputs))
    model.compile("sgd", loss="mse")
    target = random(2, 3, WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Keras warns of variables without gradients
        model.train_on_batch([target, random(2, NUM_IMAGE_TOKENS, WIDTH)], target)
