"""Fresh downloads against the names that the cache of Hugging Face gives them."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.verify_download import verify_download

CONTENTS = b"weights"


def git_name(contents: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(contents)).encode() + b"\0" + contents).hexdigest()


def cached(folder: Path, blob: str, contents: bytes) -> Path:
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots").mkdir()
    (folder / "blobs" / blob).write_bytes(contents)
    link = folder / "snapshots" / "model.safetensors"
    link.symlink_to(Path("../blobs") / blob)
    return link


@pytest.mark.parametrize("name", [hashlib.sha256(CONTENTS).hexdigest(), git_name(CONTENTS), "x"])
def test_the_announced_file(tmp_path, name):
    file = cached(tmp_path, name, CONTENTS)
    verify_download(file, source="hf://user/model")
    assert file.read_bytes() == CONTENTS


@pytest.mark.parametrize("name", [hashlib.sha256(CONTENTS).hexdigest(), git_name(CONTENTS)])
def test_another_file_is_removed(tmp_path, name):
    file = cached(tmp_path, name, b"weighty")
    with pytest.raises(CheckpointError, match=r"model\.safetensors of 'hf://user/model' was damag"):
        verify_download(file, source="hf://user/model")
    assert not file.is_symlink()
    assert not (tmp_path / "blobs" / name).exists()


def test_git_gives_such_names():
    """The name of an empty file in every repository of git."""
    assert git_name(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_damaged_config_is_not_read(preset, tmp_path, monkeypatch):
    contents = (preset / "config.json").read_bytes()

    def hf_hub_download(repo, name, **_):
        return str(cached(tmp_path / "cache", git_name(contents), contents + b" "))

    info = SimpleNamespace(sha="c" * 40)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    with pytest.raises(CheckpointError, match="was damaged on its way"):
        read_checkpoint("hf://user/model")
