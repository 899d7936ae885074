"""`LayerNorm`: layer normalization with one OpenVINO operation."""

from typing import Any

import keras
from keras import ops


class LayerNorm(keras.layers.LayerNormalization):
    """Keras' layer normalization of the last axis, in float32.

    With OpenVINO it is a single MVN operation, into which scale and shift fuse. Keras (3.15) would
    use two means and a power there, each a pass over the tokens.
    """

    def call(self, inputs: Any) -> Any:
        """Normalize inputs `(..., C)` over their last axis."""
        if keras.backend.backend() != "openvino" or keras.backend.is_keras_tensor(inputs):
            return super().call(inputs)
        scale, shift = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        normalized = _openvino_normalize(ops.cast(inputs, "float32"), self.epsilon)
        return ops.cast(normalized * scale + shift, self.compute_dtype)


def _openvino_normalize(tokens: Any, epsilon: float) -> Any:
    from keras.src.backend.openvino.core import OpenVINOKerasTensor, get_ov_output
    from openvino import opset16

    axes = opset16.constant([-1], dtype="int64")
    return OpenVINOKerasTensor(
        opset16.mvn(get_ov_output(tokens), axes, True, epsilon, "inside_sqrt").output(0)
    )
