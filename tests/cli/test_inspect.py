import json

from safetensors.numpy import save_file

from keras_sam.checkpoints import builtin_presets, convert_checkpoint
from tests.checkpoints.mobile_sam import mobile_sam_tensors

PARAMETERS = builtin_presets()["sam_tiny_synthetic"].parameters


def test_report_as_text(run):
    result = run("inspect", "sam_tiny_synthetic")
    assert result.exit_code == 0
    assert "format      keras, SAMBackbone" in result.stdout
    assert f"parameters  {PARAMETERS:,} in " in result.stdout
    assert "box_constraint expand" in result.stdout
    assert "license     not stated" in result.stdout
    assert "image_encoder\n    dtype float32, hidden_size " in result.stdout


def test_report_as_json(run, tmp_path):
    convert_checkpoint("sam_tiny_synthetic", tmp_path / "out", to="transformers")
    report = json.loads(run("inspect", tmp_path / "out", "--json").stdout)
    assert (report["format"], report["parameters"]) == ("transformers", PARAMETERS)
    assert report["inference_config"]["mask_thresholds"]["pred_iou_thresh"] == 0.45
    assert report["problems"] == []


def test_unused_tensors_are_counted(run, tmp_path):
    save_file(mobile_sam_tensors(), tmp_path / "mobile_sam.safetensors")
    assert (
        "ignored     22 unused tensors"
        in run("inspect", tmp_path / "mobile_sam.safetensors").stdout
    )


def test_problem_ends_with_exit_code_1(run, tmp_path):
    (tmp_path / "sam.safetensors").write_bytes(b"\xff" * 100)
    result = run("inspect", tmp_path / "sam.safetensors")
    assert result.exit_code == 1
    assert "problem     sam.safetensors of " in result.stdout
    assert "truncated or not a safetensors file" in result.stdout
    as_json = run("inspect", tmp_path / "sam.safetensors", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["problems"]
