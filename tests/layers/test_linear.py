"""`linear` against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.linear import linear

# The engine of OpenVINO makes a graph of bfloat16 one of float32 first.
in_bfloat16 = pytest.param("bfloat16", 2**-10, marks=pytest.mark.training)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-6), in_bfloat16])
def test_products_are_rounded_to_either_side(dtype, most):
    """What is cut off instead makes each layer's outputs smaller, in bfloat16 by 2**-8.5."""
    rng = np.random.default_rng(0)
    dense = keras.layers.Dense(64, bias_initializer="random_normal", dtype=dtype)
    inputs = ops.cast(rng.normal(size=(2, 32, 128)).astype("float32"), dtype)
    dense.build(inputs.shape)
    found, x, kernel, bias = (
        ops.convert_to_numpy(ops.cast(array, "float32")).astype(float)
        for array in (linear(dense, inputs), inputs, dense.kernel, dense.bias)
    )
    expected = x @ kernel + bias
    assert abs(np.sum((found - expected) * np.sign(expected))) < most * np.abs(expected).sum()
