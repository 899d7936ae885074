import json
import math

import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.config import parse_transformers_config

HUGE = pytest.param(10**400, id="huge")


def refused(section, match, **changes):
    contents = {"model_type": "sam", section: changes}
    with pytest.raises(CheckpointError, match=match):
        parse_transformers_config(contents, source="model")


@pytest.mark.parametrize(
    "ratio", [math.nan, math.inf, -math.inf, -4.0, 0, 1e300, HUGE, "4", None, True, [4.0]]
)
def test_absurd_mlp_ratio(ratio):
    refused("vision_config", "mlp_ratio", mlp_ratio=ratio)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_ratio_that_is_not_finite_in_a_file(tmp_path, text):
    config = f'{{"model_type": "sam", "vision_config": {{"mlp_ratio": {text}}}}}'
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=f"the number {text} is not finite"):
        read_checkpoint(tmp_path, load_weights=False)


def test_a_ratio_gives_the_width():
    contents = {"model_type": "sam", "vision_config": {"hidden_size": 36, "mlp_ratio": 2.5}}
    contents["vision_config"]["num_attention_heads"] = 12
    config = parse_transformers_config(json.loads(json.dumps(contents)), source="model")
    assert config["image_encoder"]["config"]["intermediate_dim"] == 90


@pytest.mark.parametrize("width", [math.nan, HUGE, -1, 0, "768", None])
def test_absurd_width(width):
    refused("vision_config", "hidden_size", hidden_size=width)


@pytest.mark.parametrize("name", ["image_size", "patch_size"])
@pytest.mark.parametrize("value", [math.inf, -16, 0, "16", None, HUGE, [16], [16] * 3])
def test_absurd_sizes(name, value):
    refused("vision_config", "image_size|image_shape|patch_size", **{name: value})


@pytest.mark.parametrize("value", [math.nan, -1e-6, 2.0, "1e-6"])
def test_absurd_epsilon(value):
    refused("vision_config", "layer_norm_epsilon", layer_norm_eps=value)


def test_more_parameters_than_any_model(tmp_path):
    config = {"model_type": "sam", "vision_config": {"hidden_size": 49152}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="parameters"):
        read_checkpoint(tmp_path, load_weights=False)


@pytest.mark.parametrize("section", [[], "text", 3, True])
def test_a_section_that_is_no_object(section):
    with pytest.raises(CheckpointError, match="must be a JSON object"):
        parse_transformers_config({"model_type": "sam", "vision_config": section}, source="model")
