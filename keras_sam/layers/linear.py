"""`linear`: a dense layer in one kernel where the backend has one."""

from typing import Any

import keras
from keras import ops


def linear(dense: keras.layers.Dense, inputs: Any) -> Any:
    """What a dense layer without an activation makes of its inputs.

    On torch the bias is added by the matrix product itself, which spares a pass over its outputs;
    TensorFlow fuses it into one of two matrices, and an activation that follows with it. Keras' own
    call adds it afterwards; it is taken elsewhere, and where the layer is quantised.

    Args:
        dense: a built layer.
        inputs: `(..., C)`.

    Returns:
        `(..., units)`.
    """
    is_symbolic = keras.backend.is_keras_tensor(inputs)
    functions = {"torch": _torch_linear, "tensorflow": _tensorflow_linear}
    function = functions.get(keras.backend.backend())
    if function is None or dense.quantization_mode is not None or is_symbolic:
        return dense(inputs)
    # Keras casts inputs and weights where a layer is called.
    inputs, kernel = (ops.cast(array, dense.compute_dtype) for array in (inputs, dense.kernel))
    bias = ops.cast(dense.bias, dense.compute_dtype) if dense.use_bias else None
    return function(inputs, kernel, bias)


def _torch_linear(inputs: Any, kernel: Any, bias: Any) -> Any:
    from torch.nn.functional import linear as torch_linear

    return torch_linear(inputs, kernel.T, bias)


def _tensorflow_linear(inputs: Any, kernel: Any, bias: Any) -> Any:
    import tensorflow as tf

    *shape, width = ops.shape(inputs)
    product = tf.linalg.matmul(
        inputs if len(shape) == 1 else ops.reshape(inputs, (-1, width)), kernel
    )
    product = product if bias is None else tf.nn.bias_add(product, bias)
    return product if len(shape) == 1 else ops.reshape(product, (*shape, kernel.shape[1]))
