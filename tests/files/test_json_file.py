"""JSON files, also damaged and hostile ones."""

import os

import pytest

from keras_sam.files.json_file import read_json


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "a.json"
        path.write_bytes(content)
        return path

    return write


def test_content(written):
    path = written('{"ä": [1, 2.5, -3e2, null]}'.encode())
    assert read_json(path) == {"ä": [1, 2.5, -300.0, None]}
    assert read_json(str(path)) == read_json(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000], ids=len)
def test_other_content_raises(written, content):
    with pytest.raises(ValueError, match=r"^a\.json is not valid JSON: .+$"):
        read_json(written(content))


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-" + "9" * 400 + ".0"]
)
def test_numbers_that_are_not_finite_raise(written, number):
    with pytest.raises(ValueError, match=rf"^a\.json .* the number {number[:40]} is not finite$"):
        read_json(written(f"[{number}]".encode()))


def test_a_file_larger_than_max_bytes_raises(written):
    path = written(b"[1, 2]")
    assert read_json(path, max_bytes=6) == [1, 2]
    with pytest.raises(ValueError, match=r"^a\.json is larger than 5 bytes$"):
        read_json(path, max_bytes=5)


def test_a_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file at .*a\.json"):
        read_json(tmp_path / "a.json")


def test_what_is_not_a_regular_file_raises(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="is not a regular file"):
            read_json(path)


@pytest.mark.parametrize("path", [5, None, b"a.json"])
def test_other_types_raise(path):
    with pytest.raises(TypeError, match="path must be"):
        read_json(path)
