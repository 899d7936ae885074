"""A file is written as a whole or not at all."""

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from keras_sam.files.atomic_file import write_atomically

NOBODY = 65534


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("data", [b"", b"new", bytearray(b"new"), memoryview(b"new")])
def test_a_file_is_written_and_replaced(tmp_path, data):
    path = tmp_path / "file"
    for _ in range(2):
        write_atomically(path, data)
        assert path.read_bytes() == bytes(data)
    write_atomically(str(path), b"newer")
    assert path.read_bytes() == b"newer"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("crash", [OSError("disk full"), KeyboardInterrupt()], ids=["full", "stop"])
def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch, step, crash):
    def fail(*_, **__):
        raise crash

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(crash)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_new_files_get_the_usual_permissions_and_old_ones_keep_theirs(tmp_path):
    expected, path = tmp_path / "expected", tmp_path / "file"
    expected.write_bytes(b"")
    write_atomically(path, b"new")
    assert permissions(path) == permissions(expected)
    path.chmod(0o640)
    write_atomically(path, b"newer")
    assert permissions(path) == 0o640


def test_a_name_of_maximum_length(tmp_path):
    path = tmp_path / ("n" * 250)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_missing_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", b"new")
    assert names(tmp_path) == []


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", b"new")
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("data", [None, "text", 5])
def test_other_types_raise(tmp_path, data):
    with pytest.raises(TypeError, match="data must be bytes"):
        write_atomically(tmp_path / "file", data)
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_without_write_permission_raises():
    # Not `tmp_path`, whose parents only the owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(PermissionError):
            write_atomically(folder / "file", b"new")
        assert names(folder) == []
        folder.chmod(0o700)


@contextmanager
def as_nobody():
    """Drops the rights of the superuser, who may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
