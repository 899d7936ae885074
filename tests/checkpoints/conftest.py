"""A tiny checkpoint with random arrays, and its preset directory."""

import numpy as np
import pytest

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.keras_hub.config import parse_arguments
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub

ENCODER = {
    "hidden_size": 16,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "global_attention_layer_indices": [1],
    "image_shape": [64, 64, 3],
    "num_output_channels": 16,
    "window_size": 2,
}
PROMPTS = {"hidden_size": 16, "image_embedding_size": [4, 4], "input_image_size": [64, 64]}
DECODER = {
    "hidden_size": 16,
    "embedding_dim": 16,
    "intermediate_dim": 16,
    "num_heads": 2,
    "iou_head_hidden_dim": 8,
}


def tiny_config(**decoder: int) -> dict:
    parts = {
        "image_encoder": {"class_name": "ViTDetBackbone", "config": dict(ENCODER)},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": dict(PROMPTS)},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": DECODER | decoder},
    }
    return parse_arguments("SAMBackbone", parts, source="tiny")


def tiny_checkpoint(**decoder: int) -> Checkpoint:
    """Random arrays for `tiny_config`, the same in each run."""
    random = np.random.default_rng(0)
    config = tiny_config(**decoder)
    arrays = {
        name: random.normal(size=shape).astype("float32")
        for name, shape in expected_shapes("SAMBackbone", config).items()
    }
    return Checkpoint("SAMBackbone", config, arrays)


@pytest.fixture
def tiny() -> Checkpoint:
    return tiny_checkpoint()


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """A tiny model whose decoder has eight heads, as all of Meta's have."""
    return tiny_checkpoint(num_heads=8)


@pytest.fixture
def preset(tiny, tmp_path):
    write_keras_hub(tmp_path / "preset", tiny, task=True)
    return tmp_path / "preset"
