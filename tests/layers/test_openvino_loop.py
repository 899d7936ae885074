"""Loops of OpenVINO, compared with NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.openvino_loop import openvino_loop
from tests.layers.numpy_reference import assert_close, random

pytestmark = pytest.mark.openvino


@pytest.mark.parametrize("axis", [0, 1])
def test_loop_concatenates_the_results_of_slices(axis):
    keys, values = random(3, 3, 4, 5), random(3, 3, 5, 2, seed=1)
    tensors = [ops.convert_to_tensor(array) for array in (keys, values)]

    def product(key, value):
        assert key.shape[axis] == 1
        return ops.exp(ops.matmul(key, value))

    expected = np.exp(keys @ values)
    assert_close(openvino_loop(product, tensors, axis=axis), expected)
