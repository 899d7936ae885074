"""Patch embedding by a matrix product, compared with a convolution."""

from keras import ops

from keras_sam.layers.patch_embedding import PatchEmbedding
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, randomize


def test_patch_embedding_equals_a_convolution():
    layer = PatchEmbedding(5, patch_size=4)
    images = random(2, 8, 12, 3)
    layer.build(images.shape)
    kernel, bias = randomize(layer).get_weights()
    expected = numpy_reference.convolve(images, kernel, bias, strides=4)
    assert_close(layer(ops.convert_to_tensor(images)), expected)
