"""`linear`, `project_without_bias`: the matrix product of a dense layer, with and without bias."""

import functools
from typing import Any

import keras
from keras import ops


def linear(dense: keras.layers.Dense, inputs: Any) -> Any:
    """Apply a dense layer that has no activation.

    torch adds the bias within the matrix product, which saves a pass over the outputs. TensorFlow
    fuses the bias, and an activation that follows, into products of two matrices. Keras' own call
    adds the bias afterwards. It is used with other backends and for quantized layers.

    Args:
        dense: A built layer.
        inputs: Inputs `(..., C)`.

    Returns:
        Outputs `(..., units)`.
    """
    is_symbolic = keras.backend.is_keras_tensor(inputs)
    functions = {"torch": _torch_linear, "tensorflow": _tensorflow_linear}
    function = functions.get(keras.backend.backend())
    if function is None or dense.quantization_mode is not None or is_symbolic:
        return dense(inputs)
    # A call of the layer would cast inputs and weights.
    inputs, kernel = (ops.cast(array, dense.compute_dtype) for array in (inputs, dense.kernel))
    bias = ops.cast(dense.bias, dense.compute_dtype) if dense.use_bias else None
    return function(inputs, kernel, bias)


def project_without_bias(dense: keras.layers.Dense, inputs: Any) -> Any:
    """Multiply by the kernel of a dense layer that has no activation.

    Args:
        dense: A built layer, quantized or not.
        inputs: Inputs `(..., C)`.

    Returns:
        Outputs `(..., units)`.
    """
    if dense.quantization_mode is None:
        return ops.matmul(inputs, ops.cast(dense.kernel, dense.compute_dtype))
    outputs = dense(inputs)  # a quantized kernel has a scale, which only the layer applies
    return outputs - ops.cast(dense.bias, outputs.dtype) if dense.use_bias else outputs


def _torch_linear(inputs: Any, kernel: Any, bias: Any) -> Any:
    from torch.nn.functional import linear as torch_linear

    return torch_linear(inputs, kernel.T, bias)


def _tensorflow_linear(inputs: Any, kernel: Any, bias: Any) -> Any:
    import tensorflow as tf

    dtype = inputs.dtype
    if dtype == "bfloat16" and _tensorflow_truncates():
        parts = inputs, kernel, bias
        inputs, kernel, bias = (None if x is None else tf.cast(x, "float32") for x in parts)
    *shape, width = ops.shape(inputs)
    product = tf.linalg.matmul(
        inputs if len(shape) == 1 else ops.reshape(inputs, (-1, width)), kernel
    )
    product = tf.cast(product if bias is None else tf.nn.bias_add(product, bias), dtype)
    return product if len(shape) == 1 else ops.reshape(product, (*shape, kernel.shape[1]))


@functools.cache
def _tensorflow_truncates() -> bool:
    """Whether TensorFlow truncates products in bfloat16 instead of rounding them.

    It does on a CPU without bfloat16 instructions. Each product is then 0.3 % too small, which
    accumulates over the layers of a model.
    """
    import tensorflow as tf

    with tf.init_scope():  # eager, even while a program is traced
        row = tf.constant([[1.0, 0.75 * 2**-7]], tf.bfloat16)  # 1 or 1 + 2**-7 in bfloat16
        return bool(tf.linalg.matmul(row, tf.ones((2, 1), tf.bfloat16))[0, 0] == 1)
