import json
import signal
import sys
import time
from subprocess import PIPE, Popen

import pyarrow.parquet as pq
import pytest

from keras_sam.batch.part_writer import part_files
from tests.batch.fake_workers import fake_module, use_inline_workers

# The command in a process of its own, with workers that take their time.
COMMAND = """
import sys
from tests.batch.fake_workers import fake_module, use_inline_workers
from keras_sam.cli import main
use_inline_workers()
sys.modules["keras_sam.batch.load_processors"] = fake_module(0.2)
main()
"""


@pytest.fixture
def fake_workers(monkeypatch):
    use_inline_workers(monkeypatch.setattr)
    monkeypatch.setitem(sys.modules, "keras_sam.batch.load_processors", fake_module())


@pytest.fixture
def folder(disc_image, tmp_path):
    """A folder of eight good pictures and a bad one."""
    root = tmp_path / "disc_images"
    root.mkdir()
    for index in range(8):
        (root / f"{index}.png").write_bytes(disc_image.read_bytes())
    (root / "bad.png").write_text("no picture")
    return root


def test_batch_writes_a_table_and_tells_what_it_did(run, fake_workers, folder, tmp_path):
    result = run("batch", folder, "--output", tmp_path / "table")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("9 of 9 images done, 1 with an error, 24 masks in ")
    assert pq.read_table(tmp_path / "table").num_rows == 24 + 9


def test_json_is_the_summary(run, fake_workers, folder, tmp_path):
    result = run("batch", f"{folder}/[0-3].png", "--output", tmp_path / "table", "--json")
    summary = json.loads(result.stdout)
    assert (summary["images"], summary["done"], summary["errors"]) == (4, 4, 0)
    assert summary["is_complete"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runner", "cloud"], "--runner is local or ray"),
        (["--address", "auto"], "--address has no effect with --runner local"),
        (["--runner", "ray", "--decode-threads", "2"], "--decode-threads has no effect"),
    ],
)
def test_wrong_options_are_told(run, folder, tmp_path, arguments, message):
    result = run("batch", folder, "--output", tmp_path / "table", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_errors_are_one_sentence(run, tmp_path):
    result = run("batch", tmp_path / "nothing", "--output", tmp_path / "table")
    assert result.exit_code == 1
    assert result.stderr.startswith("keras-sam: there is no directory, file or pattern")


def test_the_command_says_what_is_missing(run, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("batch", folder, "--output", tmp_path / "table")
    assert result.exit_code == 1
    assert "pip install 'keras-sam[batch]'" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_keeps_what_is_done(run, fake_workers, folder, tmp_path, number):
    output = tmp_path / "table"
    arguments = ["batch", str(folder), "--output", str(output)]
    process = Popen([sys.executable, "-c", COMMAND, *arguments], stderr=PIPE, text=True)
    while process.poll() is None and '"revision": "f' not in _manifest(output):
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "stopped; the same command goes on from here" in stderr
    assert len(part_files(output)) == 1
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert " before, " in result.stdout
    rows = pq.read_table(output).to_pylist()
    assert sorted(row["image_id"] for row in rows if row["kind"] == "image") == [
        *(f"{index}.png" for index in range(8)),
        "bad.png",
    ]


def _manifest(output):
    path = output / "_manifest.json"
    return path.read_text() if path.exists() else ""
