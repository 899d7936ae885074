import json
import math
from dataclasses import replace

import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint
from keras_sam.checkpoints.transformers.config import (
    build_transformers_config,
    parse_transformers_config,
)
from tests.checkpoints.conftest import random_checkpoint, tiny_config
from tests.checkpoints.mobile_sam import mobile_sam_config

HUGE = pytest.param(10**400, id="huge")


def refuse(section, match, **changes):
    contents = {"model_type": "sam", section: changes}
    with pytest.raises(CheckpointError, match=match):
        parse_transformers_config(contents, source="model")


def high_quality_config():
    config = tiny_config(early_feature_dim=16)
    config["image_encoder"]["config"]["output_early_feature"] = True
    return config


@pytest.mark.parametrize("config", [tiny_config(), high_quality_config()])
def test_config_round_trip(config):
    contents = json.loads(json.dumps(build_transformers_config(random_checkpoint(config))))
    assert parse_transformers_config(contents, source="x") == config


def test_written_keys():
    contents = build_transformers_config(random_checkpoint(tiny_config()))
    assert (contents["model_type"], contents["architectures"]) == ("sam", ["SamModel"])
    assert contents["vision_config"]["mlp_dim"] == 32
    assert contents["vision_config"]["global_attn_indexes"] == [1]
    contents = build_transformers_config(random_checkpoint(high_quality_config()))
    assert (contents["model_type"], contents["architectures"]) == ("sam_hq", ["SamHQModel"])
    assert contents["vision_config"]["model_type"] == "sam_hq_vision_model"


def test_missing_keys_have_the_defaults_of_transformers():
    """Those of ViT-B, as the first published files rely on."""
    config = parse_transformers_config({"model_type": "sam"}, source="x")
    expected = read_checkpoint("sam_vit_base", load_weights=False).config
    assert config == expected


def test_mlp_ratio_gives_the_width():
    contents = {"model_type": "sam", "vision_config": {"hidden_size": 36, "mlp_ratio": 2.5}}
    contents["vision_config"]["num_attention_heads"] = 12
    config = parse_transformers_config(contents, source="model")
    assert config["image_encoder"]["config"]["intermediate_dim"] == 90


@pytest.mark.parametrize(
    "ratio", [math.nan, math.inf, -math.inf, -4.0, 0, 1e300, HUGE, "4", None, True, [4.0]]
)
def test_absurd_mlp_ratio_raises(ratio):
    refuse("vision_config", "mlp_ratio", mlp_ratio=ratio)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_ratio_that_is_not_finite_in_a_file_raises(tmp_path, text):
    config = f'{{"model_type": "sam", "vision_config": {{"mlp_ratio": {text}}}}}'
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=f"the number {text} is not finite"):
        read_checkpoint(tmp_path, load_weights=False)


@pytest.mark.parametrize("width", [math.nan, HUGE, -1, 0, "768", None])
def test_absurd_width_raises(width):
    refuse("vision_config", "hidden_size", hidden_size=width)


@pytest.mark.parametrize("name", ["image_size", "patch_size"])
@pytest.mark.parametrize("value", [math.inf, -16, 0, "16", None, HUGE, [16], [16] * 3])
def test_absurd_sizes_raise(name, value):
    refuse("vision_config", "image_size|image_shape|patch_size", **{name: value})


@pytest.mark.parametrize("value", [math.nan, -1e-6, 2.0, "1e-6"])
def test_absurd_epsilon_raises(value):
    refuse("vision_config", "layer_norm_epsilon", layer_norm_eps=value)


def test_settings_that_the_code_of_transformers_implies():
    refuse("vision_config", "hidden_act='relu'; supported is 'gelu'", hidden_act="relu")
    refuse("mask_decoder_config", "attention_downsample_rate=4", attention_downsample_rate=4)


def test_more_parameters_than_any_model_raise():
    refuse("vision_config", "parameters; expected at most", hidden_size=2**14)


@pytest.mark.parametrize("section", [[], "text", 3, True])
def test_section_that_is_not_an_object_raises(section):
    with pytest.raises(CheckpointError, match="must be a JSON object"):
        parse_transformers_config({"model_type": "sam", "vision_config": section}, source="model")


@pytest.mark.parametrize("contents", [{"model_type": "llama"}, {"model_type": ["sam"]}, {}, [], 3])
def test_other_models_raise(contents):
    with pytest.raises(CheckpointError, match="supported are 'sam' and 'sam_hq'"):
        parse_transformers_config(contents, source="x")


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [
        ("image_encoder", {"image_shape": [64, 32, 3]}, "images of 64 x 32, expected a square"),
        ("mask_decoder", {"embedding_dim": 32}, "hidden_size is not its embedding_dim"),
        ("mask_decoder", {"hq_token_only": True}, "hq_token_only"),
        ("prompt_encoder", {"activation": "relu"}, "the activation relu, expected gelu"),
    ],
)
def test_models_that_transformers_cannot_build_raise(part, changes, match):
    model = replace(random_checkpoint(tiny_config()), source="x")
    model.config[part]["config"] |= changes
    with pytest.raises(CheckpointError, match=f"cannot build 'x', which has .*{match}"):
        build_transformers_config(model)


def test_image_encoders_that_transformers_lacks_raise():
    with pytest.raises(CheckpointError, match="no SAM model with the TinyViTBackbone"):
        build_transformers_config(random_checkpoint(mobile_sam_config()))
