"""`keras-sam convert` and `keras-sam inspect`, on the preset in the package and on bad files."""

import json

from safetensors.numpy import save_file

from keras_sam.checkpoints.builtin_presets import builtin_presets
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from tests.checkpoints.conftest import tiny_checkpoint
from tests.checkpoints.mobile_sam import mobile_sam_tensors

PARAMETERS = builtin_presets()["sam_tiny_synthetic"].parameters


def test_convert_and_inspect(run, tmp_path):
    place = str(tmp_path / "there")
    result = run(
        "convert",
        "sam_tiny_synthetic",
        place,
        "--to",
        "transformers",
        "--dtype",
        "float32",
        "--json",
    )
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert (report["source_format"], report["destination_format"]) == ("keras", "transformers")
    assert (report["parameters"], report["dtype"]) == (PARAMETERS, "float32")
    found = json.loads(run("inspect", place, "--json").stdout)
    assert (found["format"], found["parameters"]) == ("transformers", PARAMETERS)
    assert found["problems"] == []
    text = run("inspect", place).stdout
    assert "transformers, SAMBackbone" in text
    assert f"{PARAMETERS:,}" in text


def test_convert_in_words(run, tmp_path):
    result = run("convert", "sam_tiny_synthetic", str(tmp_path / "x"), "--to", "keras")
    assert result.exit_code == 0
    assert f"tensors, {PARAMETERS:,} parameters" in result.stdout


def test_preprocessing_is_told_and_shown(run, tmp_path):
    place = str(tmp_path / "x")
    options = ["--to", "transformers", "--preprocessing", "medsam"]
    result = run("convert", "sam_tiny_synthetic", place, *options)
    assert result.exit_code == 0
    assert "images    medsam (resize stretch, interpolation bicubic" in result.stdout
    assert "preprocessing  medsam (resize stretch" in run("inspect", place).stdout
    found = json.loads(run("inspect", place, "--json").stdout)["preprocessing"]
    assert (found["resize"], found["normalization"]) == ("stretch", "min_max")
    assert "box_masks fitted" in run("inspect", "sam_tiny_synthetic").stdout
    options = ["--to", "keras", "--preprocessing", "sam"]
    assert "images    sam (" in run("convert", place, str(tmp_path / "z"), *options).stdout
    report = run("convert", place, str(tmp_path / "y"), "--to", "keras", "--json").stdout
    assert json.loads(report)["preprocessing"] == found


def test_an_unknown_preprocessing(run, tmp_path):
    options = ["--to", "keras", "--preprocessing", "medsan"]
    result = run("convert", "sam_tiny_synthetic", str(tmp_path / "x"), *options)
    assert result.exit_code == 1
    assert "'medsan'; expected sam or medsam" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_of_meta_does_not_tell_the_preprocessing(run, tmp_path):
    write_keras_hub(tmp_path / "source", tiny_checkpoint(num_heads=8), task=False)
    for name, is_told in (("sam", False), ("medsam", True)):
        place = str(tmp_path / f"{name}.safetensors")
        options = ["--to", "meta", "--preprocessing", name]
        result = run("convert", str(tmp_path / "source"), place, *options)
        assert result.exit_code == 0
        assert ("the file does not tell" in result.stdout) == is_told


def test_a_file_of_mobile_sam(run, tmp_path):
    file = str(tmp_path / "mobile_sam.safetensors")
    save_file(mobile_sam_tensors(), file)
    assert "left out       22 tensors" in run("inspect", file).stdout
    place = str(tmp_path / "folded")
    result = run("convert", file, place, "--to", "keras", "--fold-batch-norms")
    assert "22 tensors left out" in result.stdout
    found = json.loads(run("inspect", place, "--json").stdout)
    assert found["architecture"]["image_encoder"]["use_batch_norm"] is False
    again = run("convert", place, str(tmp_path / "x"), "--to", "keras", "--fold-batch-norms")
    assert again.exit_code == 1
    assert "has no batch norms to fold" in again.stderr


def test_what_cannot_be_converted(run, tmp_path):
    result = run("convert", "sam_tiny_synthetic", str(tmp_path / "x.pth"), "--to", "meta")
    assert result.exit_code == 1
    assert "num_heads 4 (Meta's code: 8)" in result.stderr
    assert not list(tmp_path.iterdir())


def test_inspect_ends_with_1_on_a_problem(run, tmp_path):
    (tmp_path / "sam.safetensors").write_bytes(b"\xff" * 100)
    result = run("inspect", str(tmp_path / "sam.safetensors"))
    assert result.exit_code == 1
    assert "problem" in result.stdout
    assert "truncated or not a safetensors file" in result.stdout
    assert json.loads(run("inspect", str(tmp_path / "sam.safetensors"), "--json").stdout)[
        "problems"
    ]
