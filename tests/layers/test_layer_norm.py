"""Layer normalization, compared with its formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.layer_norm import LayerNorm
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 4, 7)])
def test_layer_norm_equals_the_formula(shape):
    tokens = 3 * random(*shape) + 5
    layer = LayerNorm(epsilon=1e-2)
    layer.build(shape)
    layer.set_weights([random(7, seed=1), random(7, seed=2)])
    expected = numpy_reference.layer_norm(layer, tokens.astype("float64"))
    assert_close(layer(ops.convert_to_tensor(tokens)), expected)


def test_layer_norm_of_bfloat16_is_computed_in_float32():
    tokens = ops.cast(random(4, 64) + 50, "bfloat16")
    actual = LayerNorm(dtype="bfloat16")(tokens)
    assert keras.backend.standardize_dtype(actual.dtype) == "bfloat16"
    actual, expected = (
        ops.convert_to_numpy(ops.cast(x, "float32"))
        for x in (actual, LayerNorm()(ops.cast(tokens, "float32")))
    )
    np.testing.assert_allclose(actual, expected, atol=2**-6)
