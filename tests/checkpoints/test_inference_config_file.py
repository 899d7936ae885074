"""Inference settings through every format that stores them."""

import json
from dataclasses import replace

import pytest

from keras_sam.checkpoints import (
    CHECKPOINT_FORMATS,
    CheckpointError,
    convert_checkpoint,
    inspect_checkpoint,
    read_checkpoint,
    write_keras_hub,
    write_transformers,
)
from keras_sam.checkpoints.inference_config_file import (
    check_inference_config,
    read_inference_config,
    write_inference_config,
)
from keras_sam.transforms.inference_config import (
    NAMED_CONFIGS,
    InferenceConfig,
    MaskRefiner,
    MaskThresholds,
)
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing
from tests.checkpoints.conftest import image_encoder_of

SAM, MEDSAM = NAMED_CONFIGS["sam"], NAMED_CONFIGS["medsam"]
REFINED = InferenceConfig(mask_refiner=MaskRefiner("guided_filter", "clip", (0.5, 1.5, -1.0)))
CONFIGS = {
    "sam": SAM,
    "medsam": MEDSAM,
    "stretched": InferenceConfig(Preprocessing(resize="stretch", normalization="unit")),
    "probabilities": InferenceConfig(postprocessing=Postprocessing("probabilities")),
    "thresholds": InferenceConfig(mask_thresholds=MaskThresholds(0.4, 0.6)),
    "refined": REFINED,
}
each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def settings_of(path, **kwargs):
    return read_checkpoint(path, load_weights=False, **kwargs).inference_config


@each_config
def test_file_round_trip(tmp_path, config):
    write_inference_config(tmp_path, config, described=Preprocessing(normalization="min_max"))
    assert read_inference_config(tmp_path, source="x") == config


def test_no_file_is_no_config(tmp_path):
    assert read_inference_config(tmp_path, source="x") is None


@each_config
@pytest.mark.parametrize("to", ["keras", "transformers"])
def test_formats_keep_the_settings(checkpoint, tmp_path, to, config):
    model = replace(checkpoint, inference_config=config)
    CHECKPOINT_FORMATS[to].write(tmp_path / "model", model, dtype="float32")
    assert settings_of(tmp_path / "model") == config


def test_conversions_keep_the_settings(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "a", replace(checkpoint, inference_config=REFINED), task=True)
    report = convert_checkpoint(tmp_path / "a", tmp_path / "b", to="transformers")
    assert report.inference_config == REFINED
    assert inspect_checkpoint(tmp_path / "b").inference_config == REFINED
    convert_checkpoint(tmp_path / "b", tmp_path / "c", to="keras")
    assert settings_of(tmp_path / "c") == REFINED


def test_model_without_settings_gets_those_of_sam(checkpoint, tmp_path):
    assert checkpoint.inference_config is None
    write_keras_hub(tmp_path / "keras", checkpoint, task=True)
    write_transformers(tmp_path / "transformers", checkpoint, dtype="float32")
    assert settings_of(tmp_path / "keras") == settings_of(tmp_path / "transformers") == SAM


@pytest.mark.parametrize(
    ("name", "is_written"),
    [("sam", False), ("stretched", False), ("medsam", True), ("thresholds", True)],
)
def test_file_is_written_only_if_other_files_describe_less(checkpoint, tmp_path, name, is_written):
    model = replace(checkpoint, inference_config=CONFIGS[name])
    write_keras_hub(tmp_path / "keras", model, task=True)
    write_transformers(tmp_path / "transformers", model, dtype="float32")
    for directory in ("keras", "transformers"):
        assert (tmp_path / directory / "inference_config.json").exists() == is_written


def test_preset_without_a_task_stores_all_settings_in_the_file(checkpoint, tmp_path):
    stretched = replace(checkpoint, inference_config=CONFIGS["stretched"])
    write_keras_hub(tmp_path / "backbone", stretched, task=False)
    encoder = replace(image_encoder_of(checkpoint), inference_config=MEDSAM)
    write_keras_hub(tmp_path / "encoder", encoder, task=False)
    assert settings_of(tmp_path / "backbone") == CONFIGS["stretched"]
    assert settings_of(tmp_path / "encoder") == MEDSAM


def test_missing_sections_and_fields_have_defaults(preset):
    contents = {"mask_thresholds": {"pred_iou_thresh": 1}, "mask_refiner": None}
    (preset / "inference_config.json").write_text(json.dumps(contents))
    assert settings_of(preset) == InferenceConfig(mask_thresholds=MaskThresholds(1.0))


INVALID = {
    "list": ([], "must be an object"),
    "number": (3, "must be an object"),
    "list_of_names": (["sam"], "must be an object"),
    "unknown_name": ("MedSAM", "one of sam, medsam"),
    "unknown_section": ({"thresholds": {}}, r"unknown fields \['thresholds'\]"),
    "long_section_name": ({"x" * 10**6: 1}, "unknown fields"),
    "unknown_field": ({"preprocessing": {"scale": 1}}, r"preprocessing has unknown .*scale"),
    "section_is_a_list": ({"preprocessing": []}, "preprocessing must be an object"),
    "unknown_choice": ({"preprocessing": {"resize": "crop"}}, "resize must be one of longest_side"),
    "null": ({"preprocessing": {"resize": None}}, "resize must be one of"),
    "choice_is_a_list": ({"postprocessing": {"upsample_in": ["logits"]}}, "upsample_in must be"),
    "long_choice": ({"preprocessing": {"interpolation": "x" * 10**6}}, "interpolation must be"),
    "huge_number": ({"mask_thresholds": {"pred_iou_thresh": 10**400}}, r"a number in \[0, 1\]"),
    "text_threshold": ({"mask_thresholds": {"pred_iou_thresh": "0.5"}}, r"a number in \[0, 1\]"),
    "two_coefficients": (
        {"mask_refiner": {"boundary_refinement": "guided_filter", "iou_calibration": [1, 2]}},
        "three numbers",
    ),
    "calibration_alone": ({"mask_refiner": {"iou_calibration": [1, 2, 3]}}, "boundary_refinement"),
}
each_invalid = pytest.mark.parametrize(("value", "match"), INVALID.values(), ids=INVALID)


@each_invalid
def test_invalid_values_raise_with_the_source(value, match):
    with pytest.raises(
        CheckpointError, match=f"inference config of 'x' is not valid.*{match}"
    ) as e:
        check_inference_config(value, source="x")
    assert len(str(e.value)) < 600


@each_invalid
def test_invalid_file_raises_unless_settings_are_given(preset, value, match):
    (preset / "inference_config.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset)
    assert settings_of(preset, inference_config="sam") == SAM
