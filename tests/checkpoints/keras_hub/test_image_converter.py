"""The preprocessing of a preset that has only keras-hub's own files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint, write_keras_hub
from keras_sam.checkpoints.keras_hub.image_converter import (
    image_converter_config,
    parse_image_converter,
    preprocessor_config,
)
from keras_sam.transforms.inference_config import NAMED_CONFIGS, InferenceConfig
from keras_sam.transforms.preprocessing import Preprocessing
from tests.checkpoints.conftest import tiny_config

MEDSAM = NAMED_CONFIGS["medsam"].preprocessing


def read_edited(preset, changes):
    file = preset / "image_converter.json"
    contents = json.loads(file.read_text())
    contents["config"].update(changes)
    file.write_text(json.dumps(contents))
    return read_checkpoint(preset, load_weights=False).inference_config


def test_converter_pads_and_does_not_crop():
    config = image_converter_config(tiny_config(), Preprocessing())["config"]
    assert config["pad_to_aspect_ratio"]
    assert not config["crop_to_aspect_ratio"]
    assert config["scale"] == pytest.approx(1 / 255)
    assert config["image_size"] == [64, 64]


@pytest.mark.parametrize("resize", ["longest_side", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("normalization", ["imagenet", "unit"])
def test_round_trip(resize, interpolation, normalization):
    preprocessing = Preprocessing(resize, interpolation, normalization)
    converter = json.loads(json.dumps(image_converter_config(tiny_config(), preprocessing)))
    assert parse_image_converter(converter, source="x") == preprocessing


def test_minimum_and_maximum_are_written_as_unit(preset, tiny):
    model = replace(tiny, inference_config=NAMED_CONFIGS["medsam"])
    write_keras_hub(preset, model, task=True)
    (preset / "inference_config.json").unlink()
    settings = read_checkpoint(preset, load_weights=False).inference_config
    assert settings == InferenceConfig(preprocessing=replace(MEDSAM, normalization="unit"))


def test_converter_undoes_the_normalization_of_the_model():
    """The model subtracts ImageNet's mean and divides by its standard deviation."""
    config = image_converter_config(tiny_config(), MEDSAM)["config"]
    pixels = np.array([0.0, 51.0, 255.0])[:, None]
    inputs = pixels * config["scale"] + config["offset"]
    normalized = (inputs - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(normalized, np.broadcast_to(pixels / 255, (3, 3)), atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": False},  # the default of keras-hub
        {"crop_to_aspect_ratio": True},
        {"image_size": [32, 64]},
        {"scale": [0.1, 0.2, 0.3]},
        {"scale": 1},
        {"scale": None},
        {"offset": [0.485, 0.456, 0.406]},
        {"interpolation": "nearest"},
        {"antialias": False},
        {"bounding_box_format": "xyxy"},
    ],
)
def test_other_presets_of_keras_hub_have_the_preprocessing_of_sam(preset, changes):
    assert read_edited(preset, changes) == InferenceConfig()


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": [64, -1]},
        {"image_size": 10**12},
        {"scale": 1e30},
        {"scale": "1/255"},
        {"offset": [0.0] * 1000},
        {"interpolation": ["bilinear"]},
        {"antialias": "yes"},
    ],
)
def test_absurd_settings_raise(preset, changes):
    with pytest.raises(CheckpointError, match=f"image converter of .* {next(iter(changes))}="):
        read_edited(preset, changes)


@pytest.mark.parametrize(
    "contents",
    [
        {"registered_name": "keras_hub>ImageConverter", "config": {}},
        {"registered_name": "keras_hub>SAMImageConverter"},
    ],
)
def test_other_objects_raise(contents):
    with pytest.raises(CheckpointError, match="expected a SAMImageConverter with a config"):
        parse_image_converter(contents, source="x")


def test_preprocessor_contains_the_converter():
    converter = image_converter_config(tiny_config(), Preprocessing())
    contents = preprocessor_config(converter, dtype="bfloat16")
    assert contents["registered_name"] == "keras_hub>SAMImageSegmenterPreprocessor"
    assert contents["config"]["image_converter"] == converter
    assert contents["config"]["dtype"]["config"] == {"name": "bfloat16"}
