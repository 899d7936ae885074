"""Configs that are derived from the shapes of tensors."""

from dataclasses import replace

import pytest

from keras_sam.checkpoints import CheckpointError, expected_shapes
from keras_sam.checkpoints.meta.config import check_derivable, parse_meta_config
from keras_sam.checkpoints.meta.tensor_names import meta_names
from keras_sam.checkpoints.torch_layout import torch_shape
from tests.checkpoints.conftest import random_checkpoint, tiny_config
from tests.checkpoints.mobile_sam import mobile_sam_config


def tensor_shapes(config):
    names, shapes = meta_names(config), expected_shapes("SAMBackbone", config)
    return {names[name]: torch_shape(name, shape) for name, shape in shapes.items()}


def high_quality_config():
    config = tiny_config(num_heads=8, early_feature_dim=16)
    config["image_encoder"]["config"]["output_early_feature"] = True
    return config


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(num_heads=8),
        tiny_config(num_heads=8, num_layers=3, num_multimask_outputs=5, iou_head_depth=4),
        high_quality_config(),
        mobile_sam_config(),
    ],
)
def test_config_is_derived_from_shapes(config):
    assert parse_meta_config(tensor_shapes(config), source="x") == config
    check_derivable(random_checkpoint(config), tensor_shapes(config))


def test_rectangular_images():
    """A table of positions that is not square, and tables of the global block that match it."""
    shapes = tensor_shapes(tiny_config())
    shapes["image_encoder.pos_embed"] = (1, 4, 6, 16)
    shapes["image_encoder.blocks.1.attn.rel_pos_w"] = (11, 8)
    encoder = parse_meta_config(shapes, source="x")["image_encoder"]["config"]
    assert encoder["image_shape"] == [64, 96, 3]
    assert encoder["global_attention_layer_indices"] == [1]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"image_encoder.blocks.0.attn.rel_pos_h": None}, "'x' needs blocks, .*rel_pos_h"),
        ({"image_encoder.pos_embed": None}, "'x' needs blocks, image_encoder.pos_embed"),
        ({"mask_decoder.iou_token.weight": None}, "iou_token.weight is missing; expected 2 axes"),
        ({"mask_decoder.mask_tokens.weight": (4,)}, r"has the shape \(4,\); expected 2 axes"),
        ({"prompt_encoder.no_mask_embed.weight": (1, 2**20)}, "has the shape"),
    ],
)
def test_missing_and_misshapen_tensors_raise(changes, match):
    shapes = tensor_shapes(tiny_config()) | changes
    shapes = {name: shape for name, shape in shapes.items() if shape is not None}
    with pytest.raises(CheckpointError, match=match):
        parse_meta_config(shapes, source="x")


def test_windows_of_several_sizes_raise():
    config = tiny_config()
    config["image_encoder"]["config"] |= {"num_layers": 3}
    shapes = tensor_shapes(config)
    shapes |= {f"image_encoder.blocks.2.attn.rel_pos_{axis}": (5, 8) for axis in "hw"}
    with pytest.raises(CheckpointError, match=r"windows of \[2, 3\] tokens; expected one size"):
        parse_meta_config(shapes, source="x")


def test_other_models_raise():
    with pytest.raises(CheckpointError, match=r"'x' is not a SAM model.*image_encoder\.patch_emb"):
        parse_meta_config({"a": (2,)}, source="x")


def test_attention_settings_without_effect_are_accepted():
    """Indices beyond the last block, and a window size that no block has."""
    config = tiny_config(num_heads=8)
    encoder = config["image_encoder"]["config"]
    encoder["global_attention_layer_indices"] = [1, 7]
    check_derivable(random_checkpoint(config), tensor_shapes(config))
    encoder["global_attention_layer_indices"] = [0, 1]
    check_derivable(random_checkpoint(config), tensor_shapes(config))


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [
        ("mask_decoder", {"num_heads": 2}, r"num_heads 2 \(Meta's code: 8\)"),
        ("mask_decoder", {"activation": "relu"}, r"activation relu \(Meta's code: gelu\)"),
        ("image_encoder", {"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon 1e-05"),
        ("mask_decoder", {"hq_token_only": True}, "hq_token_only True"),
    ],
)
def test_settings_without_a_tensor_raise(part, changes, match):
    config = tiny_config(num_heads=8)
    config[part]["config"] |= changes
    model = replace(random_checkpoint(config), source="x")
    with pytest.raises(CheckpointError, match=f"cannot build 'x', which has .*{match}"):
        check_derivable(model, tensor_shapes(config))
