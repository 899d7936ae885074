"""`create_engine`: the engine of the current Keras backend."""

from collections.abc import Callable

import keras

from keras_sam.engines.engine import Engine
from keras_sam.engines.int8_encoder import Int8Encoder, check_int8_backend
from keras_sam.engines.jax_engine import JaxEngine
from keras_sam.engines.openvino_engine import OpenvinoEngine
from keras_sam.engines.tensorflow_engine import TensorflowEngine
from keras_sam.engines.torch_engine import TorchEngine
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter

ENGINES: dict[str, Callable[[SAMImageSegmenter], Engine]] = {
    "jax": JaxEngine,
    "openvino": OpenvinoEngine,
    "tensorflow": TensorflowEngine,
    "torch": TorchEngine,
}


def engine_name() -> str:
    """Name of the engine class of the current backend.

    Raises:
        ValueError: If the backend has no engine.
    """
    return _engine_factory().__name__


def create_engine(model: SAMImageSegmenter, int8_encoder: Int8Encoder | None = None) -> Engine:
    """Create the engine that runs a model on the current backend.

    Args:
        model: Segmenter to run.
        int8_encoder: Quantized image encoder to use instead of the model's own. OpenVINO only.

    Raises:
        ValueError: If the backend has no engine, or if an int8 encoder is given and the backend
            is not OpenVINO or the encoder belongs to another model.
    """
    if int8_encoder is None:
        return _engine_factory()(model)
    check_int8_backend()
    return OpenvinoEngine(model, int8_encoder)


def _engine_factory() -> Callable[[SAMImageSegmenter], Engine]:
    backend = keras.backend.backend()
    if backend not in ENGINES:
        raise ValueError(f"expected one of the backends {sorted(ENGINES)}, got {backend}")
    return ENGINES[backend]
