"""A tiny checkpoint with random arrays, and its preset directory."""

import numpy as np
import pytest

from keras_sam.checkpoints import Checkpoint, expected_shapes, write_keras_hub
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments

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


def tiny_config(**decoder) -> dict:
    """The config of a tiny model, with changed arguments of its decoder."""
    parts = {
        "image_encoder": {"class_name": "ViTDetBackbone", "config": dict(ENCODER)},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": dict(PROMPTS)},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": DECODER | decoder},
    }
    return parse_arguments("SAMBackbone", parts, source="tiny")


def random_checkpoint(config: dict) -> Checkpoint:
    """A `SAMBackbone` with random arrays, the same in each run."""
    random = np.random.default_rng(0)
    arrays = {
        name: random.normal(size=shape).astype("float32")
        for name, shape in expected_shapes("SAMBackbone", config).items()
    }
    return Checkpoint("SAMBackbone", config, arrays)


def tiny_checkpoint(**decoder) -> Checkpoint:
    """A tiny model with random arrays, and changed arguments of its decoder."""
    return random_checkpoint(tiny_config(**decoder))


def image_encoder_of(checkpoint: Checkpoint) -> Checkpoint:
    """The image encoder of a checkpoint as a model of its own."""
    part, prefix = checkpoint.config["image_encoder"], "image_encoder/"
    arrays = {
        name.removeprefix(prefix): array
        for name, array in checkpoint.arrays.items()
        if name.startswith(prefix)
    }
    return Checkpoint(part["class_name"], part["config"], arrays)


def assert_same_arrays(arrays, expected) -> None:
    """Names and values are equal."""
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.fixture
def tiny() -> Checkpoint:
    return tiny_checkpoint()


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    """A tiny model whose decoder has eight heads, as in all of Meta's models."""
    return tiny_checkpoint(num_heads=8)


@pytest.fixture
def preset(tiny, tmp_path):
    write_keras_hub(tmp_path / "preset", tiny, task=True)
    return tmp_path / "preset"
