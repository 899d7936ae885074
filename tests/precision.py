"""`in_float32`: Keras' own programs in float32."""

from contextlib import AbstractContextManager, nullcontext

import keras
from keras_sam.models.openvino_precision import float32_inference


def in_float32() -> AbstractContextManager[None]:
    """Keeps OpenVINO from bfloat16, which models that are not ours take where it can."""
    return float32_inference() if keras.backend.backend() == "openvino" else nullcontext()
