import json
from pathlib import Path

import numpy as np
import pytest

from keras_sam.checkpoints import (
    CHECKPOINT_FORMATS,
    Checkpoint,
    CheckpointError,
    CheckpointFormat,
    convert_checkpoint,
    read_checkpoint,
    write_keras_hub,
)
from keras_sam.checkpoints.registry import find_format
from tests.checkpoints.conftest import assert_same_arrays


def read_npz(path: Path, *, load_weights: bool, source: str) -> Checkpoint:
    with np.load(path) as stored:
        config = json.loads(str(stored["config"]))
        arrays = {name: stored[name] for name in stored if name != "config"}
    return Checkpoint("SAMBackbone", config, arrays if load_weights else {}, source=source)


def write_npz(path: Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    np.savez(path, config=json.dumps(checkpoint.config), **dict(checkpoint.arrays))


NPZ = CheckpointFormat(
    description="a file .npz",
    recognize=lambda path, *, source: path.suffix == ".npz",
    read=read_npz,
    write=write_npz,
)


@pytest.fixture
def npz_format(monkeypatch):
    """A format that a single row adds to the table."""
    monkeypatch.setitem(CHECKPOINT_FORMATS, "npz", NPZ)


def test_new_format_is_written_and_read(npz_format, preset, tiny, tmp_path):
    file = tmp_path / "sam.npz"
    report = convert_checkpoint(preset, file, to="npz", dtype="float32")
    assert (report.destination_format, report.transposed) == ("npz", 0)
    checkpoint = read_checkpoint(file)
    assert (checkpoint.format, checkpoint.config) == ("npz", tiny.config)
    assert_same_arrays(checkpoint.arrays, tiny.arrays)
    back = convert_checkpoint(file, tmp_path / "back", to="keras")
    assert back.source_format == "npz"
    assert_same_arrays(read_checkpoint(tmp_path / "back").arrays, tiny.arrays)


def test_unknown_format_is_refused_without_its_row(preset, tmp_path):
    with pytest.raises(CheckpointError, match="expected one of keras, transformers, meta"):
        convert_checkpoint(preset, tmp_path / "sam.npz", to="npz")


def test_formats_are_recognized(checkpoint, tmp_path):
    write_keras_hub(tmp_path / "keras", checkpoint, task=False)
    paths = {"keras": "keras", "transformers": "transformers", "meta": "sam.pth"}
    for name, path in paths.items():
        if name != "keras":
            convert_checkpoint(tmp_path / "keras", tmp_path / path, to=name)
        assert find_format(tmp_path / path, source="x") == name


@pytest.mark.parametrize("config", ["{}", "[]", "3", '{"name": "my project"}'])
def test_other_directories_are_refused(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"'x' has no known checkpoint format; expected one"):
        find_format(tmp_path, source="x")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "sam.onnx").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"expected one of: .*config\.json.*\.pth"):
        find_format(tmp_path / "sam.onnx", source="x")


def test_files_in_a_directory_without_config_are_listed(tmp_path):
    for name in ("a.pth", "b.safetensors", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"give its path: .*a\.pth, .*b\.safetensors$"):
        find_format(tmp_path, source="x")
