"""Thresholds of everything mode: checked, kept by each format, Meta's where nothing tells."""

import json
from dataclasses import replace

import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.thresholds import SAM, parse_thresholds

OWN = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.6}


def test_what_is_left_out_is_metas():
    assert parse_thresholds(None, source="x") == SAM
    assert parse_thresholds({"pred_iou_thresh": 1}, source="x") == SAM | {"pred_iou_thresh": 1.0}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.5], "expected the fields"),
        ({"iou": 0.5}, "unknown fields"),
        ({"pred_iou_thresh": "0.5"}, r"a number in 0\.\.1"),
        ({"pred_iou_thresh": True}, r"a number in 0\.\.1"),
        ({"stability_score_thresh": 1.5}, r"a number in 0\.\.1"),
        ({"stability_score_thresh": float("nan")}, r"a number in 0\.\.1"),
    ],
)
def test_what_is_no_threshold_is_refused(value, message):
    with pytest.raises(CheckpointError, match=message):
        parse_thresholds(value, source="x")


@pytest.fixture
def preset(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "own", replace(checkpoint, thresholds=OWN), task=True)
    return tmp_path / "own"


@pytest.mark.parametrize("to", ["keras", "transformers"])
def test_formats_keep_them(preset, tmp_path, to):
    convert_checkpoint(preset, tmp_path / "converted", to=to)
    assert read_checkpoint(tmp_path / "converted").thresholds == OWN


def test_metas_need_no_file(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "plain", checkpoint, task=True)
    assert not (tmp_path / "plain" / "thresholds.json").exists()
    assert read_checkpoint(tmp_path / "plain").thresholds == SAM


def test_a_damaged_file_is_named(preset):
    (preset / "thresholds.json").write_text(json.dumps({"pred_iou_thresh": None}))
    with pytest.raises(CheckpointError, match="pred_iou_thresh=None"):
        read_checkpoint(preset)
