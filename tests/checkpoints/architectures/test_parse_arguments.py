import copy

import pytest

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from tests.checkpoints.conftest import ENCODER, tiny_config


def test_defaults_are_filled_in():
    config = parse_arguments("ViTDetBackbone", ENCODER, source="x")
    assert config["patch_size"] == 16
    assert (config["trainable"], config["dtype"]) == (True, "float32")
    assert parse_arguments("ViTDetBackbone", config, source="x") == config


def test_tuples_become_lists():
    encoder = ENCODER | {"image_shape": (64, 64, 3)}
    assert parse_arguments("ViTDetBackbone", encoder, source="x")["image_shape"] == [64, 64, 3]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (None, "float32"),
        ("bfloat16", "bfloat16"),
        ({"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}, "mixed_float16"),
    ],
)
def test_dtype_is_the_name_of_a_policy(dtype, name):
    assert parse_arguments("SAMMaskDecoder", {"dtype": dtype}, source="x")["dtype"] == name


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"extra": 1}, r"unknown arguments \['extra'\]; known are hidden_size"),
        ({"x" * 10**6: 1}, "unknown arguments"),
        ({"hidden_size": "x" * 10**6}, "hidden_size='xxx"),
        ({"hidden_size": None}, "hidden_size=None, which is not valid"),
        ({"name": "../../x"}, r"name='\.\./\.\./x', which is not valid"),
        ({"name": 3}, "name=3, which is not valid"),
        ({"trainable": "yes"}, "trainable='yes'"),
        ({"dtype": "int8_from_float32"}, "the dtype 'int8_from_float32'; supported are float32"),
        ({"dtype": {"config": {"name": ["float32"]}}}, "the dtype"),
        ({"dtype": {"config": None}}, "the dtype"),
    ],
)
def test_other_arguments_raise(changes, match):
    with pytest.raises(
        CheckpointError, match=f"ViTDetBackbone in the config of 'x' .*{match}"
    ) as e:
        parse_arguments("ViTDetBackbone", ENCODER | changes, source="x")
    assert len(str(e.value)) < 2000


def test_missing_argument_raises():
    with pytest.raises(CheckpointError, match="needs the argument 'hidden_size'"):
        parse_arguments("ViTDetBackbone", {}, source="x")


@pytest.mark.parametrize("config", [None, [], "text"])
def test_other_values_than_arguments_raise(config):
    with pytest.raises(CheckpointError, match="has no arguments"):
        parse_arguments("SAMMaskDecoder", config, source="x")


@pytest.mark.parametrize(
    ("part", "match"),
    [
        (None, "needs the part 'mask_decoder'"),
        ({}, "the mask_decoder of 'x' is a None; supported is SAMMaskDecoder"),
        ({"class_name": "SAMPromptEncoder", "config": {}}, "is a 'SAMPromptEncoder'"),
        ({"class_name": ["SAMMaskDecoder"], "config": {}}, "supported is SAMMaskDecoder"),
        ({"class_name": "SAMMaskDecoder"}, "SAMMaskDecoder in the config of 'x' has no arguments"),
    ],
)
def test_other_parts_raise(part, match):
    config = copy.deepcopy(tiny_config()) | {"mask_decoder": part}
    with pytest.raises(CheckpointError, match=match):
        parse_arguments("SAMBackbone", config, source="x")
