"""Convolutions written as matrix products against Keras' own."""

import keras
import numpy as np
from keras import ops

from keras_sam.layers.mask_upscaler import ConvTranspose2x2, pixels_to_masks
from keras_sam.layers.patch_embedding import PatchEmbedding


def test_patch_embedding_equals_a_convolution():
    images = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    layer = PatchEmbedding(5, patch_size=4)
    layer.build(images.shape)
    convolution = keras.layers.Conv2D(5, 4, strides=4)
    convolution.build(images.shape)
    convolution.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(images)),
        ops.convert_to_numpy(convolution(images)),
        rtol=1e-4,
        atol=1e-5,
    )


def numpy_transposed_convolution(grid, kernel, bias):
    """Kernel `(2, 2, out, in)`, stride 2: each token paints its own four pixels."""
    batch, height, width, _ = grid.shape
    out = np.zeros((batch, 2 * height, 2 * width, kernel.shape[2]))
    for row in range(2):
        for column in range(2):
            out[:, row::2, column::2] = grid @ kernel[row, column].T
    return out + bias


def test_pixel_projections_equal_transposed_convolutions():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(2, 3, 5, 8)).astype("float32")
    layers = [ConvTranspose2x2(4), ConvTranspose2x2(1)]
    layers[0].build((None, None, 8))
    layers[1].build((None, None, 4))
    expected = grid
    for layer in layers:
        for weight in layer.weights:
            weight.assign(rng.normal(size=weight.shape).astype("float32"))
        expected = numpy_transposed_convolution(
            expected, ops.convert_to_numpy(layer.kernel), ops.convert_to_numpy(layer.bias)
        )
    pixels = layers[1](layers[0](ops.convert_to_tensor(grid.reshape(2, 15, 8))))
    masks = pixels_to_masks(ops.reshape(pixels, (2, 1, 15 * 16)), (3, 5))
    np.testing.assert_allclose(
        ops.convert_to_numpy(masks)[:, 0], expected[..., 0], rtol=1e-4, atol=1e-4
    )
