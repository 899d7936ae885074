"""Activations, compared with NumPy."""

import keras
import pytest
from keras import ops

from keras_sam.layers.activation import gelu, get_activation
from keras_sam.layers.export_mode import export_mode
from tests.layers import numpy_reference
from tests.layers.numpy_reference import assert_close, random


def test_gelu_is_exact_in_and_outside_of_exports():
    inputs = 3 * random(4, 5)
    expected = numpy_reference.gelu(inputs)
    assert_close(gelu(ops.convert_to_tensor(inputs)), expected)
    with export_mode():
        assert_close(gelu(ops.convert_to_tensor(inputs)), expected)


@pytest.mark.tensorflow
def test_exported_gelu_has_no_erfc():
    import tensorflow as tf

    def operations():
        function = tf.function(gelu, autograph=False).get_concrete_function(
            tf.TensorSpec([2, 3], "float32")
        )
        return {operation.type for operation in function.graph.get_operations()}

    assert "Erfc" in operations()
    with export_mode():
        assert "Erf" in operations()
        assert "Erfc" not in operations()


def test_get_activation_returns_gelu_or_that_of_keras():
    assert get_activation("gelu") is gelu
    assert get_activation("relu") is keras.activations.relu
