"""The branch of SAM-HQ, compared with NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.high_quality_branch import HighQualityBranch, PixelRefiner
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, gelu, layer_norm, random, randomize, to_numpy

IMAGES, PROMPTS, HEIGHT, WIDTH = 2, 3, 2, 3


@pytest.fixture(scope="module")
def branch() -> HighQualityBranch:
    layer = HighQualityBranch(16, 6)
    layer.build()
    return randomize(layer)


def numpy_refiner(layer, grid):
    kernels = [(to_numpy(conv.kernel), to_numpy(conv.bias)) for conv in (layer.conv1, layer.conv2)]
    grid = numpy_reference.convolve(grid, *kernels[0], padding=1)
    grid = gelu(layer_norm(layer.layer_norm, grid))
    return numpy_reference.convolve(grid, *kernels[1], padding=1)


def test_hq_features_are_the_sum_of_both_encoders(branch):
    embeddings, early = random(IMAGES, HEIGHT, WIDTH, 16), random(IMAGES, HEIGHT, WIDTH, 6, seed=1)
    expected = numpy_reference.upscale(branch.embedding_encoder, embeddings)
    expected = expected + numpy_reference.upscale(branch.early_encoder, early)
    actual = branch.hq_features(ops.convert_to_tensor(embeddings), ops.convert_to_tensor(early))
    assert_close(actual, expected)


def test_a_mask_weighs_refined_pixels_and_hq_features(branch):
    tokens = random(IMAGES * PROMPTS, 16)
    pixels = random(IMAGES * PROMPTS, 4 * HEIGHT, 4 * WIDTH, 2, seed=1)
    hq_features = random(IMAGES, 4 * HEIGHT, 4 * WIDTH, 2, seed=2)
    weights = to_numpy(branch.head(ops.convert_to_tensor(tokens)))
    grid = numpy_refiner(branch.refiner, pixels) + np.repeat(hq_features, PROMPTS, axis=0)
    expected = np.einsum("bhwc,bc->bhw", grid, weights)[:, None]
    arrays = [ops.convert_to_tensor(array) for array in (tokens, pixels, hq_features)]
    assert_close(branch(*arrays, prompts=PROMPTS), expected)


def test_pixel_refiner_equals_the_formula():
    layer = PixelRefiner(4, 2)
    layer.build((None, 3, 5, 2))
    randomize(layer)
    grid = random(2, 3, 5, 2)
    assert_close(layer(ops.convert_to_tensor(grid)), numpy_refiner(layer, grid))
