"""A preset that keras-hub wrote anew has lost the file of ours: its converter is all there is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.preprocessing import MEDSAM, SAM
from keras_sam.checkpoints.read_checkpoint import read_checkpoint


def edit(preset, changes):
    file = preset / "image_converter.json"
    contents = json.loads(file.read_text())
    contents["config"].update(changes)
    file.write_text(json.dumps(contents))
    (preset / "preprocessing.json").unlink()
    return read_checkpoint(preset, load_weights=False).preprocessing


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
def test_absurd_settings(preset, changes):
    with pytest.raises(CheckpointError, match=f"image converter of .* {next(iter(changes))}="):
        edit(preset, changes)


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
def test_presets_of_keras_hub_are_sams(preset, changes):
    assert edit(preset, changes) == SAM


def test_what_is_written_for_medsam_is_told_as_far_as_it_goes(preset, tiny):
    write_keras_hub(preset, replace(tiny, preprocessing=MEDSAM), task=True)
    config = json.loads((preset / "image_converter.json").read_text())["config"]
    assert (config["crop_to_aspect_ratio"], config["pad_to_aspect_ratio"]) == (False, False)
    assert (config["interpolation"], config["antialias"]) == ("bicubic", True)
    assert edit(preset, {}) == MEDSAM | {"normalization": "unit", "upscaled": "logits"}


def test_the_converter_undoes_the_models_normalization(preset, tiny):
    """The model subtracts ImageNet's mean and divides by its standard deviation."""
    write_keras_hub(preset, replace(tiny, preprocessing=MEDSAM), task=True)
    config = json.loads((preset / "image_converter.json").read_text())["config"]
    pixels = np.array([0.0, 51.0, 255.0])[:, None]
    given = pixels * config["scale"] + config["offset"]
    seen = (given - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(seen, np.broadcast_to(pixels / 255, (3, 3)), atol=1e-12)
