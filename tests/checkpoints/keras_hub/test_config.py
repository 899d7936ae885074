import json

import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint
from keras_sam.checkpoints.keras_hub.config import (
    is_in_keras_hub,
    parse_keras_hub_config,
    serialize_config,
)
from tests.checkpoints.conftest import tiny_config
from tests.checkpoints.mobile_sam import mobile_sam_config


def edit_config(preset, change):
    config = json.loads((preset / "config.json").read_text())
    change(config)
    (preset / "config.json").write_text(json.dumps(config))


def assert_refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset, load_weights=False)


def refuse_part(preset, part, changes, match):
    edit_config(preset, lambda config: config["config"][part]["config"].update(changes))
    assert_refused(preset, match)


@pytest.mark.parametrize("config", [tiny_config(), mobile_sam_config()])
def test_config_round_trip(config):
    serialized = json.loads(json.dumps(serialize_config("SAMBackbone", config)))
    assert parse_keras_hub_config(serialized, source="x") == ("SAMBackbone", config)
    encoder = config["image_encoder"]
    serialized = serialize_config(encoder["class_name"], encoder["config"])
    expected = (encoder["class_name"], encoder["config"])
    assert parse_keras_hub_config(serialized, source="x") == expected


@pytest.mark.parametrize("package", ["keras_hub", "keras_nlp", "keras_sam"])
def test_known_packages_are_read(preset, package):
    edit_config(preset, lambda c: c.update(registered_name=f"{package}>SAMBackbone"))
    assert read_checkpoint(preset, load_weights=False).class_name == "SAMBackbone"


@pytest.mark.parametrize("name", ["keras_hub>GemmaBackbone", "evil>SAMBackbone", "Lambda"])
def test_unknown_class_raises(preset, name):
    edit_config(preset, lambda c: c.update(registered_name=name))
    assert_refused(preset, name.rpartition(">")[2])


@pytest.mark.parametrize("name", ["keras_hub>ViTDetBackbone", "evil>SAMMaskDecoder", None])
def test_unknown_class_of_a_part_raises(preset, name):
    edit_config(preset, lambda c: c["config"]["mask_decoder"].update(registered_name=name))
    assert_refused(preset, str(name).rpartition(">")[2])


def test_unknown_argument_raises(preset):
    refuse_part(preset, "mask_decoder", {"extra": 1}, "extra")


@pytest.mark.parametrize("value", [-1, 10**9, "16", True, None, [16], 1.5])
def test_invalid_argument_raises(preset, value):
    refuse_part(preset, "image_encoder", {"hidden_size": value}, "hidden_size")


def test_unknown_dtype_raises(preset):
    edit_config(preset, lambda c: c["config"].update(dtype="int8_from_float32"))
    assert_refused(preset, "int8")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "3"])
def test_damaged_config_raises(preset, text):
    (preset / "config.json").write_text(text)
    assert_refused(preset, "config")


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 2**15, "num_heads": 2**4},
        {"num_layers": 512, "hidden_size": 2**10, "intermediate_dim": 2**13},
        {"image_shape": [2**16, 2**16, 3], "patch_size": 1},
        {"image_shape": [64, 64, 3], "window_size": 2**16, "num_layers": 512, "hidden_size": 2**12},
    ],
)
def test_more_parameters_than_any_model_raise(preset, changes):
    refuse_part(preset, "image_encoder", changes, "parameters")


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("image_encoder", {"patch_size": 128}),
        ("image_encoder", {"num_heads": 32}),
        ("prompt_encoder", {"hidden_size": 1}),
        ("prompt_encoder", {"mask_in_channels": 3}),
        ("mask_decoder", {"embedding_dim": 4}),
        ("mask_decoder", {"num_heads": 32}),
    ],
)
def test_empty_weights_raise(preset, part, changes):
    refuse_part(preset, part, changes, r"the weight .* shape .*\b(0|-1)\b")


@pytest.mark.parametrize("value", [pytest.param(10**400, id="huge"), -0.5, 1, "1e-6", None, True])
def test_absurd_epsilon_raises(preset, value):
    refuse_part(preset, "image_encoder", {"layer_norm_epsilon": value}, "layer_norm_epsilon")


def test_deeply_nested_value_raises(preset):
    value = []
    for _ in range(300):
        value = [value]
    refuse_part(preset, "image_encoder", {"hidden_size": value}, r"hidden_size=\[")


def test_models_that_keras_hub_lacks_are_classes_of_this_package():
    assert is_in_keras_hub("SAMBackbone", tiny_config())
    high_quality = tiny_config(early_feature_dim=16)
    for config in (mobile_sam_config(), high_quality):
        assert not is_in_keras_hub("SAMBackbone", config)
        registered = serialize_config("SAMBackbone", config)["registered_name"]
        assert registered == "keras_sam>SAMBackbone"


def test_arguments_that_keras_hub_lacks_are_omitted_if_unused():
    parts = serialize_config("SAMBackbone", tiny_config())["config"]
    assert "output_early_feature" not in parts["image_encoder"]["config"]
    assert "early_feature_dim" not in parts["mask_decoder"]["config"]
    assert parts["image_encoder"]["module"] == "keras_hub.src.models.vit_det.vit_det_backbone"
