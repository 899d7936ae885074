import json

import pytest
from safetensors.numpy import save_file

from keras_sam.checkpoints import builtin_presets, read_checkpoint, write_keras_hub
from keras_sam.transforms.inference_config import NAMED_CONFIGS
from tests.checkpoints.conftest import tiny_checkpoint
from tests.checkpoints.mobile_sam import mobile_sam_tensors

PARAMETERS = builtin_presets()["sam_tiny_synthetic"].parameters


@pytest.fixture
def preset(tmp_path):
    """A tiny model with random weights that every format can represent."""
    write_keras_hub(tmp_path / "preset", tiny_checkpoint(num_heads=8), task=True)
    return tmp_path / "preset"


def test_report_as_json(run, preset, tmp_path):
    options = ["--to", "transformers", "--dtype", "float16", "--json"]
    result = run("convert", preset, tmp_path / "out", *options)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["source_format"], report["destination_format"]) == ("keras", "transformers")
    assert (report["source_dtypes"], report["dtype"]) == (["float32"], "float16")
    assert report["inference_config"]["preprocessing"]["resize"] == "longest_side"
    assert read_checkpoint(tmp_path / "out").format == "transformers"


def test_report_as_text(run, tmp_path):
    result = run("convert", "sam_tiny_synthetic", tmp_path / "out", "--to", "keras")
    assert result.exit_code == 0
    assert f"tensors, {PARAMETERS:,} parameters" in result.stdout
    assert f"written   {tmp_path / 'out'} (keras, " in result.stdout
    assert "settings  pred_iou_thresh 0.45, " in result.stdout


def test_inference_config_option(run, preset, tmp_path):
    options = ["--to", "transformers", "--inference-config", "medsam"]
    result = run("convert", preset, tmp_path / "out", *options)
    assert result.exit_code == 0
    assert "settings  medsam\n" in result.stdout
    assert read_checkpoint(tmp_path / "out").inference_config == NAMED_CONFIGS["medsam"]
    options = ["--to", "keras", "--inference-config", "sam"]
    assert "settings  sam\n" in run("convert", tmp_path / "out", tmp_path / "sam", *options).stdout


def test_unknown_inference_config_fails(run, preset, tmp_path):
    options = ["--to", "keras", "--inference-config", "medsan"]
    result = run("convert", preset, tmp_path / "out", *options)
    assert result.exit_code == 1
    assert "must be one of sam, medsam, got 'medsan'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "is_lost"), [("sam", False), ("medsam", True)])
def test_settings_that_meta_does_not_store_are_mentioned(run, preset, tmp_path, name, is_lost):
    options = ["--to", "meta", "--inference-config", name]
    result = run("convert", preset, tmp_path / "out.safetensors", *options)
    assert result.exit_code == 0
    assert ("not stored in this format" in result.stdout) == is_lost


def test_fold_batch_norms_option(run, tmp_path):
    save_file(mobile_sam_tensors(), tmp_path / "mobile_sam.safetensors")
    options = ["--to", "keras", "--fold-batch-norms"]
    result = run("convert", tmp_path / "mobile_sam.safetensors", tmp_path / "folded", *options)
    assert "22 unused tensors ignored" in result.stdout
    config = read_checkpoint(tmp_path / "folded", load_weights=False).config
    assert config["image_encoder"]["config"]["use_batch_norm"] is False
    again = run("convert", tmp_path / "folded", tmp_path / "again", *options)
    assert again.exit_code == 1
    assert "has no batch norms to fold" in again.stderr


def test_model_that_the_format_cannot_represent_fails(run, tmp_path):
    result = run("convert", "sam_tiny_synthetic", tmp_path / "out.pth", "--to", "meta")
    assert result.exit_code == 1
    assert "num_heads 4 (Meta's code: 8)" in result.stderr
    assert not any(tmp_path.iterdir())
