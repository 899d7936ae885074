"""JSON from anyone."""

import pytest

from keras_sam.files.json_file import read_json


def test_content(tmp_path):
    (tmp_path / "a.json").write_text('{"ä": [1, 2.5, null]}', "utf-8")
    assert read_json(tmp_path / "a.json") == {"ä": [1, 2.5, None]}
    assert read_json(str(tmp_path / "a.json")) == {"ä": [1, 2.5, None]}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000], ids=len)
def test_other_content_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is not JSON"):
        read_json(tmp_path / "a.json")


def test_no_file_and_no_path(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path)
    with pytest.raises(TypeError, match="path must be"):
        read_json(5)
