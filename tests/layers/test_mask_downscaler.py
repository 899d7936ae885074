"""The mask downscaler, compared with NumPy."""

from keras import ops

from keras_sam.layers.mask_downscaler import MaskDownscaler
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, gelu, layer_norm, random, randomize, to_numpy


def test_mask_downscaler_equals_its_convolutions():
    layer = MaskDownscaler(5, mask_in_channels=8)
    masks = random(2, 8, 12, 1)
    layer.build(masks.shape)
    randomize(layer)
    expected = masks
    for conv, norm in ((layer.conv1, layer.layer_norm1), (layer.conv2, layer.layer_norm2)):
        kernel, bias = to_numpy(conv.kernel), to_numpy(conv.bias)
        expected = numpy_reference.convolve(expected, kernel, bias, strides=2)
        expected = gelu(layer_norm(norm, expected))
    expected = expected @ to_numpy(layer.conv3.kernel)[0, 0] + to_numpy(layer.conv3.bias)
    actual = layer(ops.convert_to_tensor(masks))
    assert actual.shape == (2, 2, 3, 5)
    assert_close(actual, expected)
