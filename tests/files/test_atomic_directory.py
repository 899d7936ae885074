"""A directory is written as a whole or not at all."""

import ctypes
import os
import stat

import pytest

from keras_sam.files.atomic_directory import replace_directory


@pytest.fixture(params=[True, False], ids=["exchange", "rename"])
def exchange(request, monkeypatch):
    """Tests also without the system call that swaps two directories, which only Linux has."""
    if not request.param:

        def no_library(*_, **__):
            raise OSError("no library")

        monkeypatch.setattr(ctypes, "CDLL", no_library)


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def written(directory, text):
    directory.mkdir()
    (directory / "old").write_text(text)
    return directory


def test_a_new_directory(tmp_path):
    with replace_directory(tmp_path / "parent" / "new") as temporary:
        (temporary / "file").write_text("content")
        assert names(tmp_path / "parent") == [temporary.name]
    assert contents(tmp_path / "parent" / "new") == {"file": "content"}
    assert names(tmp_path / "parent") == ["new"]


@pytest.mark.usefixtures("exchange")
def test_an_old_directory_is_replaced(tmp_path):
    directory = written(tmp_path / "directory", "old")
    with replace_directory(directory) as temporary:
        (temporary / "new").write_text("new")
        assert contents(directory) == {"old": "old"}
    assert contents(directory) == {"new": "new"}
    assert names(tmp_path) == ["directory"]


def write_new(directory, error=None):
    with replace_directory(directory) as temporary:
        (temporary / "new").write_text("new")
        if error is not None:
            raise error


@pytest.mark.usefixtures("exchange")
@pytest.mark.parametrize("error", [ValueError("bad content"), KeyboardInterrupt()])
def test_an_error_in_the_body_leaves_the_old_directory(tmp_path, error):
    directory = written(tmp_path / "directory", "old")
    with pytest.raises(type(error)):
        write_new(directory, error)
    assert contents(directory) == {"old": "old"}
    assert names(tmp_path) == ["directory"]


def test_a_full_disk_leaves_the_old_directory(tmp_path, monkeypatch):
    directory = written(tmp_path / "directory", "old")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_new(directory)
    assert contents(directory) == {"old": "old"}
    assert names(tmp_path) == ["directory"]


def test_a_failure_of_the_last_rename_restores_the_old_directory(tmp_path, monkeypatch):
    directory = written(tmp_path / "directory", "old")
    rename = os.rename

    def fail_once(source, target):
        if os.path.exists(os.path.join(source, "new")):
            raise OSError("disk on fire")
        rename(source, target)

    monkeypatch.setattr(ctypes, "CDLL", None)
    monkeypatch.setattr(os, "rename", fail_once)
    with pytest.raises(OSError, match="disk on fire"):
        write_new(directory)
    assert contents(directory) == {"old": "old"}
    assert names(tmp_path) == ["directory"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_the_usual_ones(tmp_path):
    (tmp_path / "expected").mkdir()
    with replace_directory(tmp_path / "directory"):
        pass
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("expected", "directory")]
    assert modes[0] == modes[1]
