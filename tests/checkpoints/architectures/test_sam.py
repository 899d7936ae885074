"""Shapes of all weights, against the models of transformers and published parameter counts."""

import math

import pytest

from keras_sam.checkpoints import CheckpointError, expected_shapes
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.architectures.sam import (
    check_size,
    count_parameters,
    image_encoder_part,
)
from keras_sam.checkpoints.torch_layout import torch_shape
from keras_sam.checkpoints.transformers.config import build_transformers_config
from keras_sam.checkpoints.transformers.tensor_names import POSITION_NAMES, transformers_names
from tests.checkpoints.conftest import random_checkpoint, tiny_config
from tests.checkpoints.mobile_sam import mobile_sam_config

pytestmark = pytest.mark.filterwarnings(r"default:::transformers(\..*)?")


def high_quality_config():
    config = tiny_config(num_heads=8, early_feature_dim=16)
    config["image_encoder"]["config"]["output_early_feature"] = True
    return config


@pytest.mark.parametrize("config", [tiny_config(num_heads=8), high_quality_config()])
def test_shapes_equal_those_of_transformers(config):
    import torch
    from transformers import SamConfig, SamHQConfig, SamHQModel, SamModel

    is_high_quality = config["mask_decoder"]["config"]["early_feature_dim"] > 0
    built = build_transformers_config(random_checkpoint(config))
    with torch.device("meta"):
        model = (
            SamHQModel(SamHQConfig.from_dict(built))
            if is_high_quality
            else SamModel(SamConfig.from_dict(built))
        )
    theirs = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs.pop(POSITION_NAMES[1], None)  # tied with the first one
    names, shapes = transformers_names(config, source="x"), expected_shapes("SAMBackbone", config)
    assert {names[name]: torch_shape(name, shape) for name, shape in shapes.items()} == theirs


def test_parts_have_the_names_and_shapes_of_the_whole():
    config = tiny_config()
    shapes = expected_shapes("SAMBackbone", config)
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        of_part = expected_shapes(config[part]["class_name"], config[part]["config"])
        assert all(shapes[f"{part}/{name}"] == shape for name, shape in of_part.items())
    assert count_parameters("SAMBackbone", config) == sum(map(math.prod, shapes.values()))


def test_parameters_of_sam():
    """SAM has 93,735,728 parameters with a ViT-B, as Meta publishes it."""
    encoder = {
        "hidden_size": 768,
        "num_layers": 12,
        "intermediate_dim": 3072,
        "num_heads": 12,
        "global_attention_layer_indices": [2, 5, 8, 11],
    }
    parts = {
        "image_encoder": {"class_name": "ViTDetBackbone", "config": encoder},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": {}},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": {}},
    }
    config = parse_arguments("SAMBackbone", parts, source="x")
    assert count_parameters("SAMBackbone", config) == 93_735_728


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden_size": 2**15, "num_heads": 2**4}, "parameters; expected at most 2000000000"),
        ({"hidden_size": 1}, r"the weight .* the shape \(.*\b0\b.*\); expected sides of 1 or more"),
    ],
)
def test_absurd_sizes_raise(changes, match):
    config = tiny_config()["image_encoder"]["config"] | changes
    with pytest.raises(CheckpointError, match=match):
        check_size("ViTDetBackbone", config, source="x")


def test_image_encoder_is_found_in_a_model_and_alone():
    config = mobile_sam_config()
    encoder = config["image_encoder"]["config"]
    assert image_encoder_part("SAMBackbone", config) == ("TinyViTBackbone", encoder)
    class_name, part = image_encoder_part("TinyViTBackbone", encoder)
    assert class_name == "TinyViTBackbone"
    assert part is encoder
