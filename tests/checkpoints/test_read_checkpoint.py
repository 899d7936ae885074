"""Presets by name, directory and file. Formats are tested in the folders next to this file."""

import sys

import pytest

from keras_sam.checkpoints import (
    CheckpointError,
    convert_checkpoint,
    read_checkpoint,
    write_keras_hub,
)
from keras_sam.transforms.inference_config import (
    NAMED_CONFIGS,
    InferenceConfig,
    MaskRefiner,
    MaskThresholds,
)
from tests.checkpoints.conftest import assert_same_arrays


def test_preset_directory(preset, tiny):
    checkpoint = read_checkpoint(preset)
    assert (checkpoint.class_name, checkpoint.format) == ("SAMBackbone", "keras")
    assert checkpoint.source == str(preset)
    assert checkpoint.config == tiny.config
    assert_same_arrays(checkpoint.arrays, tiny.arrays)


def test_config_without_weights(preset, tiny):
    (preset / "model.weights.h5").unlink()
    checkpoint = read_checkpoint(preset, load_weights=False)
    assert (checkpoint.config, checkpoint.arrays) == (tiny.config, {})


def test_unknown_name_lists_the_built_in_ones():
    with pytest.raises(CheckpointError, match="Did you mean 'sam_base_sa1b'"):
        read_checkpoint("sam_bas_sa1b")


@pytest.mark.parametrize("address", ["hf://a", "hf://a/../b", "kaggle://a/b", "s3://a/b"])
def test_malformed_address_raises(address):
    with pytest.raises(CheckpointError, match="is not the address of a preset"):
        read_checkpoint(address)


def test_settings_of_named_presets():
    for name in ("sam_vit_base", "sam_base_sa1b", "slimsam_77"):
        assert read_checkpoint(name, load_weights=False).inference_config == InferenceConfig()
    medsam = read_checkpoint("medsam", load_weights=False).inference_config
    assert medsam == NAMED_CONFIGS["medsam"]


def test_settings_of_the_shipped_preset():
    settings = read_checkpoint("sam_tiny_synthetic", load_weights=False).inference_config
    assert settings == InferenceConfig(
        mask_thresholds=MaskThresholds(pred_iou_thresh=0.45, stability_score_thresh=0.6),
        mask_refiner=MaskRefiner(
            boundary_refinement="guided_filter",
            box_constraint="expand",
            iou_calibration=(0.706, 1.134, -0.749),
        ),
    )


def test_settings_of_a_named_preset_replace_those_of_its_files(preset, monkeypatch):
    """The repository of MedSAM contains a copy of SAM's file."""
    module = sys.modules[read_checkpoint.__module__]
    monkeypatch.setattr(module, "resolve_preset", lambda *_, **__: preset)
    assert read_checkpoint("medsam").inference_config == NAMED_CONFIGS["medsam"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("sam", InferenceConfig()),
        ("medsam", NAMED_CONFIGS["medsam"]),
        (NAMED_CONFIGS["medsam"], NAMED_CONFIGS["medsam"]),
        (
            {"mask_thresholds": {"pred_iou_thresh": 0.5}},
            InferenceConfig(mask_thresholds=MaskThresholds(pred_iou_thresh=0.5)),
        ),
    ],
)
def test_given_settings_replace_stored_ones(value, expected):
    for name in ("sam_tiny_synthetic", "medsam"):
        checkpoint = read_checkpoint(name, load_weights=False, inference_config=value)
        assert checkpoint.inference_config == expected


def test_unknown_settings_raise_before_anything_is_read(tmp_path):
    with pytest.raises(CheckpointError, match="one of sam, medsam, got 'medsan'"):
        read_checkpoint(tmp_path / "nothing", inference_config="medsan")


def test_files_of_meta_have_the_settings_of_sam(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "preset", checkpoint, task=False)
    file = tmp_path / "sam.safetensors"
    convert_checkpoint(tmp_path / "preset", file, to="meta", inference_config="medsam")
    assert read_checkpoint(file).inference_config == InferenceConfig()
