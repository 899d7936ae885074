"""Dense layers, compared with NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.linear import linear
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random, randomize

# With OpenVINO, a graph of bfloat16 becomes one of float32.
in_bfloat16 = pytest.param("bfloat16", 2**-10, marks=pytest.mark.training)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_linear_equals_a_matrix_product(shape, use_bias):
    dense = keras.layers.Dense(4, use_bias=use_bias)
    dense.build(shape)
    randomize(dense)
    inputs = random(*shape)
    expected = numpy_reference.dense(dense, inputs)
    assert_close(linear(dense, ops.convert_to_tensor(inputs)), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), in_bfloat16])
def test_products_are_rounded_to_nearest(dtype, tolerance):
    """Truncation would make all outputs smaller, in bfloat16 by a factor of 2**-8.5."""
    rng = np.random.default_rng(0)
    dense = keras.layers.Dense(64, bias_initializer="random_normal", dtype=dtype)
    inputs = ops.cast(rng.normal(size=(2, 32, 128)).astype("float32"), dtype)
    dense.build(inputs.shape)
    actual, x, kernel, bias = (
        ops.convert_to_numpy(ops.cast(array, "float32")).astype(float)
        for array in (linear(dense, inputs), inputs, dense.kernel, dense.bias)
    )
    expected = x @ kernel + bias
    mean_error = np.sum((actual - expected) * np.sign(expected)) / np.abs(expected).sum()
    assert abs(mean_error) < tolerance
