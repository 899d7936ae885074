import json
import signal
import sys
import time
from subprocess import PIPE, Popen

import pyarrow.parquet as pq
import pytest

from keras_sam.batch.table_parts import part_files
from tests.batch.fake_workers import InlineWorker, fake_module

# The command in its own process, with workers that take 0.2 seconds per image.
COMMAND = """
from keras_sam.batch import run_local
from keras_sam.cli import main
from tests.batch.fake_workers import InlineWorker, replace_model
run_local.WorkerProcess = InlineWorker
replace_model(0.2)
main()
"""


@pytest.fixture
def fake_workers(monkeypatch):
    """Workers are threads of this process, without a model."""
    monkeypatch.setattr("keras_sam.batch.run_local.WorkerProcess", InlineWorker)
    monkeypatch.setitem(sys.modules, "keras_sam.batch.load_processors", fake_module())


@pytest.fixture
def folder(disc_image, tmp_path):
    """A folder of eight valid images and a damaged one."""
    root = tmp_path / "images"
    root.mkdir()
    for index in range(8):
        (root / f"{index}.png").write_bytes(disc_image.read_bytes())
    (root / "damaged.png").write_text("not an image")
    return root


def test_batch_writes_a_table_and_a_summary(run, fake_workers, folder, tmp_path):
    result = run("batch", folder, "--output", tmp_path / "table")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("9 of 9 images processed, 1 with an error, 24 masks, ")
    assert pq.read_table(tmp_path / "table").num_rows == 24 + 9


def test_json_is_the_summary(run, fake_workers, folder, tmp_path):
    result = run("batch", f"{folder}/[0-3].png", "--output", tmp_path / "table", "--json")
    summary = json.loads(result.stdout)
    assert (summary["images"], summary["completed"], summary["errors"]) == (4, 4, 0)
    assert summary["is_complete"] is True


def test_options_set_the_settings_and_others_keep_their_defaults(
    run, fake_workers, folder, tmp_path
):
    arguments = ["--points-per-side", "auto", "--pred-iou-thresh", "0.5", "--crop-n-layers", "1"]
    arguments += ["--single-mask", "--dtype", "bfloat16", "--threads-per-worker", "1"]
    result = run("batch", folder, "--output", tmp_path / "table", *arguments)
    assert result.exit_code == 0, result.stderr
    settings = json.loads((tmp_path / "table" / "_manifest.json").read_text())["settings"]
    generator = settings["generator"]
    assert (generator["points_per_side"], generator["pred_iou_thresh"]) == ("auto", 0.5)
    assert (generator["crop_n_layers"], generator["box_nms_thresh"]) == (1, 0.7)
    assert (settings["multimask_output"], settings["dtype"]) == (False, "bfloat16")
    assert generator["stability_score_thresh"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runner", "cloud"], "--runner must be local or ray"),
        (["--ray-address", "auto"], "--ray-address has no effect with --runner local"),
        (["--gpus-per-worker", "1"], "--gpus-per-worker has no effect with --runner local"),
        (["--runner", "ray", "--decode-threads", "2"], "--decode-threads has no effect"),
    ],
)
def test_wrong_options_are_usage_errors(run, folder, tmp_path, arguments, message):
    result = run("batch", folder, "--output", tmp_path / "table", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_error_is_one_sentence(run, tmp_path):
    result = run("batch", tmp_path / "nothing", "--output", tmp_path / "table")
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: there is no directory, file or pattern")


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("pyarrow", [], "batch"), ("ray", ["--runner", "ray"], "ray")],
)
def test_error_names_a_missing_extra(run, folder, tmp_path, monkeypatch, module, arguments, extra):
    monkeypatch.setitem(sys.modules, module, None)
    result = run("batch", folder, "--output", tmp_path / "table", *arguments)
    assert result.exit_code == 1
    assert f"pip install 'keras-sam[{extra}]'" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_and_keeps_completed_images(
    run, fake_workers, folder, tmp_path, number
):
    output = tmp_path / "table"
    arguments = ["batch", str(folder), "--output", str(output)]
    process = Popen([sys.executable, "-c", COMMAND, *arguments], stderr=PIPE, text=True)
    while process.poll() is None and '"model_hash": "f' not in _manifest(output):
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "stopped; run the same command to resume" in stderr
    assert len(part_files(output)) == 1
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert " already in the table, " in result.stdout
    rows = pq.read_table(output).to_pylist()
    assert sorted(row["image_id"] for row in rows if row["kind"] == "image") == [
        *(f"{index}.png" for index in range(8)),
        "damaged.png",
    ]


def _manifest(output):
    path = output / "_manifest.json"
    return path.read_text() if path.exists() else ""
