"""`gelu`, `get_activation`: activations that can be exported from every backend."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_sam.layers.export_mode import is_exporting


def gelu(inputs: Any) -> Any:
    """Exact GELU, `x * (1 + erf(x / sqrt(2))) / 2`.

    TensorFlow computes it with `erfc`, which ONNX and LiteRT lack. Exports use `erf`.
    """
    if is_exporting() and keras.backend.backend() == "tensorflow":
        return 0.5 * inputs * (1.0 + ops.erf(inputs * math.sqrt(0.5)))
    return ops.gelu(inputs, approximate=False)


def get_activation(name: str) -> Callable[[Any], Any]:
    """Return a Keras activation by name; for "gelu", the function above."""
    activation: Callable[[Any], Any] = keras.activations.get(name)
    return gelu if activation is keras.activations.gelu else activation
