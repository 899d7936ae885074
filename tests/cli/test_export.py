"""The command, with a format that needs no runtime of its own."""

import json

import pytest

pytestmark = pytest.mark.torch


def test_files_and_loss_are_printed(run, tiny_preset, tmp_path):
    result = run("export", tiny_preset, tmp_path / "out", "--format", "torch")
    assert result.exit_code == 0, result.stderr
    assert f"written   {tmp_path / 'out'} (torch, layout meta, float32 weights)" in result.stdout
    assert "decoder.pt2, " in result.stdout
    assert "point_coords [num_prompts, num_points, 2], " in result.stdout
    assert "low_res_masks: " in result.stdout
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert written["model"] == str(tiny_preset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "coreml"], "format must be one of onnx, openvino, "),
        (["--format", "torch", "--layout", "cvat"], "use format onnx or openvino"),
        (["--format", "torch", "--weights", "uint8"], "must be one of float32, got 'uint8'"),
        (["--frame", "100"], "frame must be a multiple of the model's image size 64, got 100"),
        (["--format", "litert"], "Keras already runs on 'torch'"),
    ],
)
def test_errors_leave_nothing_behind(run, tiny_preset, tmp_path, options, message):
    result = run("export", tiny_preset, tmp_path / "out", *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
