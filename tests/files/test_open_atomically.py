import os

import pytest

from keras_sam.files.open_atomically import open_atomically


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pieces_become_one_file(tmp_path):
    for content in (b"first", b"second"):
        with open_atomically(tmp_path / "file") as file:
            for index in range(len(content)):
                file.write(content[index : index + 1])
        assert (tmp_path / "file").read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_file_appears_when_the_block_ends(tmp_path):
    with open_atomically(str(tmp_path / "file")) as file:
        file.write(b"data")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").read_bytes() == b"data"


@pytest.mark.parametrize("error", [ValueError("bad tensor"), KeyboardInterrupt()])
def test_error_in_the_block_keeps_the_old_file(tmp_path, error):
    (tmp_path / "file").write_bytes(b"old")

    def write_half():
        with open_atomically(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch, step):
    def fail(*_, **__):
        raise OSError("disk full")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"), open_atomically(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_of_the_old_file_are_kept(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o640)
    with open_atomically(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_missing_folder_raises(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        open_atomically(tmp_path / "missing" / "file") as file,
    ):
        file.write(b"data")
