"""Convolutions, compared with a sum over the kernel in NumPy."""

import pytest
from keras import ops

from keras_sam.layers.convolution import convolution
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("is_depthwise", [True, False])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("size", [1, 3])
def test_convolution_equals_a_sum_over_the_kernel(size, strides, is_depthwise, has_bias):
    grid = random(2, 5, 8, 3)
    kernel = random(size, size, 3, 1 if is_depthwise else 4, seed=1)
    bias = random(3 if is_depthwise else 4, seed=2) if has_bias else None
    settings = {"strides": strides, "is_depthwise": is_depthwise}
    expected = numpy_reference.convolve(
        grid, kernel, 0.0 if bias is None else bias, padding=size // 2, **settings
    )
    tensors = [None if x is None else ops.convert_to_tensor(x) for x in (grid, kernel, bias)]
    assert_close(convolution(*tensors, **settings), expected)
