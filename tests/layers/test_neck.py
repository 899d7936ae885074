"""The neck of the image encoder, compared with NumPy."""

from keras import ops

from keras_sam.layers.neck import Neck
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, layer_norm, random, randomize, to_numpy


def test_neck_equals_its_convolutions_and_norms():
    layer = Neck(6)
    grid = random(2, 3, 5, 8)
    layer.build(grid.shape)
    randomize(layer)
    expected = layer_norm(layer.layer_norm1, grid @ to_numpy(layer.conv1.kernel)[0, 0])
    expected = numpy_reference.convolve(expected, to_numpy(layer.conv2.kernel), padding=1)
    expected = layer_norm(layer.layer_norm2, expected)
    assert_close(layer(ops.convert_to_tensor(grid)), expected)
