"""Layer normalization against its formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.layer_norm import LayerNorm


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 4, 7)])
def test_layer_norm_equals_the_formula(shape):
    rng = np.random.default_rng(0)
    tokens = (rng.normal(size=shape) * 3 + 5).astype("float32")
    scale, shift = rng.normal(size=(2, shape[-1])).astype("float32")
    layer = LayerNorm(epsilon=1e-2)
    layer.build(shape)
    layer.set_weights([scale, shift])
    centerd = tokens - tokens.mean(-1, keepdims=True, dtype="float64")
    deviation = np.sqrt(np.square(centerd).mean(-1, keepdims=True) + 1e-2)
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(tokens)))
    np.testing.assert_allclose(found, centerd / deviation * scale + shift, atol=1e-5)


def test_layer_norm_of_bfloat16_is_computed_in_float32():
    tokens = np.random.default_rng(0).normal(size=(4, 64)).astype("float32") + 50
    rounded = ops.cast(ops.convert_to_tensor(tokens), "bfloat16")
    expected = LayerNorm()(ops.cast(rounded, "float32"))
    found = LayerNorm(dtype="bfloat16")(rounded)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    found, expected = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (found, expected))
    np.testing.assert_allclose(found, expected, atol=2**-6)
