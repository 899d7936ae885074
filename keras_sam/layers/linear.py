"""`linear`: a dense layer in one kernel where the backend has one."""

from typing import Any

import keras
from keras import ops


def linear(dense: keras.layers.Dense, inputs: Any) -> Any:
    """What a dense layer without an activation makes of its inputs.

    On torch the bias is added by the matrix product itself, which spares a pass over its outputs.
    Keras' own call adds it afterwards; it is taken elsewhere, and where the layer is quantised.

    Args:
        dense: a built layer.
        inputs: `(..., C)`.

    Returns:
        `(..., units)`.
    """
    is_symbolic = keras.backend.is_keras_tensor(inputs)
    if keras.backend.backend() != "torch" or dense.quantization_mode is not None or is_symbolic:
        return dense(inputs)
    from torch.nn.functional import linear as torch_linear

    # Keras casts inputs and weights where a layer is called.
    inputs, kernel = (ops.cast(array, dense.compute_dtype) for array in (inputs, dense.kernel))
    bias = ops.cast(dense.bias, dense.compute_dtype) if dense.use_bias else None
    return torch_linear(inputs, kernel.T, bias)
