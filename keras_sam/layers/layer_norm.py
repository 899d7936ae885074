"""`LayerNorm`: layer normalization in one kernel where the backend has one."""

from typing import Any

import keras
from keras import ops


class LayerNorm(keras.layers.LayerNormalization):
    """Keras' layer normalization of the last axis, in float32.

    On OpenVINO it is one operation, MVN, into which scale and shift fuse. What Keras (3.15) writes
    there are two means and a power, each a pass over the tokens.
    """

    def call(self, inputs: Any) -> Any:
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
