"""Settings as JSON, by name and for people, and invalid values."""

import json

import numpy as np
import pytest

from keras_sam.transforms.inference_config import (
    InferenceConfig,
    MaskThresholds,
    describe_inference_config,
    parse_inference_config,
)
from keras_sam.transforms.mask_refiner import MaskRefiner
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

SAM = InferenceConfig()
MEDSAM = InferenceConfig(
    Preprocessing(resize="stretch", interpolation="bicubic", normalization="min_max"),
    Postprocessing(upsample_in="probabilities"),
)
CUSTOM = InferenceConfig(
    Preprocessing(normalization="unit"),
    Postprocessing(upsample_in="probabilities"),
    MaskThresholds(pred_iou_thresh=0.5, stability_score_thresh=1),
    MaskRefiner("guided_filter", "expand", (0.5, 1, -0.25)),
)
SECTIONS = ("preprocessing", "postprocessing", "mask_thresholds", "mask_refiner")


@pytest.mark.parametrize("config", [SAM, MEDSAM, CUSTOM])
def test_settings_survive_a_round_trip_through_json(config):
    values = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    assert tuple(values) == SECTIONS
    assert InferenceConfig.from_dict(values) == config
    assert parse_inference_config(values) == config


@pytest.mark.parametrize("missing", SECTIONS)
@pytest.mark.parametrize("is_null", [False, True])
def test_missing_sections_get_their_defaults(missing, is_null):
    values = CUSTOM.to_dict()
    del values[missing]
    if is_null:
        values[missing] = None
    config = InferenceConfig.from_dict(values)
    for section in SECTIONS:
        expected = SAM if section == missing else CUSTOM
        assert getattr(config, section) == getattr(expected, section)


def test_missing_fields_get_their_defaults():
    config = InferenceConfig.from_dict(
        {"preprocessing": {"resize": "stretch"}, "mask_thresholds": {}, "mask_refiner": {}}
    )
    assert config.preprocessing == Preprocessing(resize="stretch")
    assert config.mask_thresholds == MaskThresholds()
    assert config.mask_refiner == MaskRefiner()
    assert InferenceConfig.from_dict({}) == SAM


def test_unknown_sections_raise():
    with pytest.raises(ValueError, match=r"unknown fields \['thresholds'\]; known are prepro"):
        InferenceConfig.from_dict({"preprocessing": {}, "thresholds": {}})


@pytest.mark.parametrize("section", SECTIONS)
def test_unknown_fields_raise(section):
    with pytest.raises(ValueError, match=rf"{section} has unknown fields \['color'\]"):
        InferenceConfig.from_dict({section: {"color": "red"}})


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["sam", 3, ["resize"], True])
def test_sections_that_are_no_objects_raise(section, value):
    with pytest.raises(ValueError, match=f"{section} must be an object with "):
        InferenceConfig.from_dict({section: value})


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("preprocessing", "resize", "crop"),
        ("postprocessing", "upsample_in", "pixels"),
        ("mask_thresholds", "pred_iou_thresh", "0.5"),
        ("mask_refiner", "box_constraint", "shrink"),
        ("mask_refiner", "iou_calibration", [1, 2]),
    ],
)
def test_unknown_values_raise(section, field, value):
    with pytest.raises(ValueError, match=f"{field} must be"):
        InferenceConfig.from_dict({section: {field: value}})


@pytest.mark.parametrize("field", ["pred_iou_thresh", "stability_score_thresh"])
@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan, np.inf, "0.5", None, True, [0.5]])
def test_thresholds_outside_0_to_1_raise(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be a number in \[0, 1\], got "):
        MaskThresholds(**{field: value})


def test_thresholds_become_floats():
    thresholds = MaskThresholds(pred_iou_thresh=0, stability_score_thresh=1)
    values = InferenceConfig(mask_thresholds=thresholds).to_dict()["mask_thresholds"]
    assert json.dumps(values) == '{"pred_iou_thresh": 0.0, "stability_score_thresh": 1.0}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, SAM), ("sam", SAM), ("medsam", MEDSAM), (CUSTOM, CUSTOM), (CUSTOM.to_dict(), CUSTOM)],
)
def test_all_accepted_types_are_parsed(value, expected):
    assert parse_inference_config(value) == expected


def test_unknown_names_raise():
    with pytest.raises(ValueError, match="must be one of sam, medsam, got 'sam2'"):
        parse_inference_config("sam2")


@pytest.mark.parametrize("value", [3, ["sam"], Preprocessing()])
def test_other_types_raise(value):
    with pytest.raises(ValueError, match="inference config must be an object with preprocessing"):
        parse_inference_config(value)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SAM, "sam"),
        (MEDSAM, "medsam"),
        (InferenceConfig(Preprocessing(normalization="unit")), "normalization unit"),
        (InferenceConfig(mask_thresholds=MaskThresholds(0.5)), "pred_iou_thresh 0.5"),
        (
            InferenceConfig(mask_refiner=MaskRefiner("guided_filter")),
            "boundary_refinement guided_filter",
        ),
        (
            CUSTOM,
            "normalization unit, upsample_in probabilities, pred_iou_thresh 0.5, "
            "stability_score_thresh 1.0, boundary_refinement guided_filter, "
            "box_constraint expand, iou_calibration (0.5, 1.0, -0.25)",
        ),
        (InferenceConfig(mask_refiner=MaskRefiner()), "sam"),
    ],
)
def test_descriptions_name_what_differs_from_sam(config, expected):
    assert describe_inference_config(config) == expected
