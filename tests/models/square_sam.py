"""A small SAM for square images, its inputs and its outputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((1, 64, 64, 3)).astype("float32")
PROMPTS = {
    "images": IMAGES,
    "points": np.array([[[10.0, 20.0], [40.0, 30.0]]], "float32"),
    "labels": np.array([[1, 0]], "int32"),
    "boxes": np.array([[[[5.0, 6.0], [50.0, 40.0]]]], "float32"),
    "masks": RANDOM.normal(size=(1, 1, 16, 16, 1)).astype("float32"),
}
ENCODER = {
    "hidden_size": 16,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "global_attention_layer_indices": [1],
    "image_shape": (64, 64, 3),
    "num_output_channels": 32,
    "window_size": 3,
}
PROMPT_ENCODER = {
    "hidden_size": 32,
    "image_embedding_size": (4, 4),
    "input_image_size": (64, 64),
    "mask_in_channels": 16,
}
DECODER = {
    "hidden_size": 32,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "embedding_dim": 32,
    "iou_head_hidden_dim": 16,
}


def set_random_weights(model: Any) -> Any:
    """Set weights of a realistic scale, also of biases and position tables."""
    for variable in model.weights:
        if "seed" not in variable.name:
            noise = RANDOM.normal(size=variable.shape, scale=0.2)
            variable.assign(noise + (1.0 if "gamma" in variable.name else 0.0))
    return model


def build_segmenter() -> SAMImageSegmenter:
    backbone = SAMBackbone(
        ViTDetBackbone(**ENCODER), SAMPromptEncoder(**PROMPT_ENCODER), SAMMaskDecoder(**DECODER)
    )
    return set_random_weights(SAMImageSegmenter(backbone))


def predict(model: Any, inputs: dict[str, np.ndarray] = PROMPTS) -> dict[str, np.ndarray]:
    return {name: np.asarray(x) for name, x in model.predict(inputs, verbose=0).items()}


@contextmanager
def in_float32() -> Iterator[None]:
    """Keep OpenVINO from bfloat16 in `predict` of models of keras-hub.

    Without a hint, it uses bfloat16 on a CPU that has it.
    """
    if keras.backend.backend() != "openvino":
        yield
        return
    import openvino

    compile_model = openvino.compile_model

    def compile_in_float32(model: Any, device: str = "CPU", config: Any = None) -> Any:
        hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
        return compile_model(model, device, hint | (config or {}))

    with patch.object(openvino, "compile_model", compile_in_float32):
        yield


def predict_in_float32(
    model: Any, inputs: dict[str, np.ndarray] = PROMPTS
) -> dict[str, np.ndarray]:
    with in_float32():
        return predict(model, inputs)


def assert_close(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], atol: float = 1e-4
) -> None:
    for name in ("masks", "iou_pred"):
        np.testing.assert_allclose(actual[name], expected[name], atol=atol)
