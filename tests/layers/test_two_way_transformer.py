"""Attention between prompts and images, compared with decoding each prompt alone in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.two_way_transformer import TwoWayBlock, TwoWayTransformer
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, randomize

# A head is 4 wide: projections are folded for three tokens, but not for five.
IMAGES, PROMPTS, NUM_IMAGE_TOKENS, WIDTH = 2, 3, 6, 16
each_number = pytest.mark.parametrize("num_tokens", [3, 5])


@pytest.fixture(scope="module")
def transformer() -> TwoWayTransformer:
    layer = TwoWayTransformer(2, WIDTH, 2, 12)
    layer.build()
    return randomize(layer)


def tensor(array):
    return ops.convert_to_tensor(array)


def image_arrays() -> tuple[np.ndarray, np.ndarray]:
    return random(IMAGES, NUM_IMAGE_TOKENS, WIDTH), random(1, NUM_IMAGE_TOKENS, WIDTH, seed=1)


def per_prompt(array: np.ndarray) -> np.ndarray:
    """Repeat the rows of images for their prompts."""
    return np.repeat(array, PROMPTS, axis=0)


@each_number
@pytest.mark.parametrize("is_masked", [False, True])
def test_prompts_together_equal_each_prompt_alone(transformer, num_tokens, is_masked):
    keys, positions = image_arrays()
    tokens = random(IMAGES, PROMPTS, num_tokens, WIDTH, seed=2)
    mask = None
    if is_masked:
        mask = np.ones((IMAGES, PROMPTS, num_tokens), bool)
        mask[0, :, 1:], mask[1, 2, 2:] = False, False
    cache = transformer.blocks[0].decoder_cache(tensor(keys), tensor(positions))
    actual = transformer(cache, tensor(tokens), None if mask is None else tensor(mask))
    expected = numpy_reference.two_way_transformer(
        transformer,
        tokens.reshape(-1, num_tokens, WIDTH),
        per_prompt(keys),
        positions,
        None if mask is None else mask.reshape(-1, num_tokens),
    )
    for output, reference in zip(actual, expected, strict=True):
        assert_close(output, reference, atol=1e-4)


@each_number
@pytest.mark.parametrize("is_first", [True, False])
def test_a_block_equals_its_steps(num_tokens, is_first):
    block = TwoWayBlock(WIDTH, 2, 12, is_first=is_first)
    block.build()
    randomize(block)
    keys, positions = image_arrays()
    queries, query_positions = (random(IMAGES, 1, num_tokens, WIDTH, seed=seed) for seed in (2, 3))
    cache = block.decoder_cache(tensor(keys), tensor(positions))
    actual = block(tensor(queries), cache, tensor(query_positions))
    expected = numpy_reference.two_way_block(
        block, queries[:, 0], keys, query_positions[:, 0], positions
    )
    assert_close(actual[0][:, 0], expected[0], atol=1e-4)
    assert_close(actual[1], expected[1], atol=1e-4)


def test_no_layers_raise():
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        TwoWayTransformer(0, WIDTH, 2, 12)
