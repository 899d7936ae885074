"""Convolutions with batch norm, compared with timm and with NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.conv_norm import ConvNorm
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, randomize, to_numpy
from tests.layers.timm_parity import assert_equals_timm


def test_parity_with_timm():
    assert_equals_timm(ConvNorm(10, 3, strides=2), "conv_norm")


@pytest.mark.parametrize("filters", [4, None])
def test_folding_equals_a_norm_after_the_convolution(filters):
    layer = ConvNorm(filters, 3)
    grid = random(2, 5, 6, 3)
    layer.build(grid.shape)
    randomize(layer, scale=1.0)
    norm = layer.batch_norm
    norm.moving_variance.assign(np.abs(to_numpy(norm.moving_variance)) + 0.1)
    gamma, beta, mean, variance = (
        to_numpy(weight)
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    kernel = to_numpy(layer.convolution.kernel)
    convolved = numpy_reference.convolve(grid, kernel, padding=1, is_depthwise=filters is None)
    expected = (convolved - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta
    assert_close(layer(ops.convert_to_tensor(grid)), expected)


def test_without_norm_the_convolution_has_a_bias():
    layer = ConvNorm(4, 3, strides=2, use_batch_norm=False)
    grid = random(2, 5, 6, 3)
    layer.build(grid.shape)
    randomize(layer)
    kernel, bias = (to_numpy(weight) for weight in layer.weights)
    expected = numpy_reference.convolve(grid, kernel, bias, strides=2, padding=1)
    assert_close(layer(ops.convert_to_tensor(grid)), expected)


@pytest.mark.training
def test_training_uses_the_statistics_of_the_batch():
    """The moving statistics change by a tenth, as in PyTorch by default."""
    layer = ConvNorm(2)
    layer.build((None, 3, 4, 2))
    layer.convolution.kernel.assign(np.eye(2, dtype="float32")[None, None])
    grid = 1 + 2 * random(2, 3, 4, 2)
    mean, variance = grid.mean((0, 1, 2)), grid.var((0, 1, 2))
    output = layer(ops.convert_to_tensor(grid), training=True)
    assert_close(output, (grid - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
    assert_close(layer.batch_norm.moving_mean, 0.1 * mean)
