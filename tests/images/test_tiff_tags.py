"""TIFF tags against those that Pillow wrote."""

import pytest
from PIL import Image

from keras_sam.images.tiff_tags import read_tiff_tags

WIDTH, HEIGHT, DESCRIPTION = 256, 257, 270


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
def test_tags_of_a_file(tmp_path, options):
    Image.new("L", (4, 3)).save(tmp_path / "a.tif", tiffinfo={DESCRIPTION: "abc"}, **options)
    tags = read_tiff_tags(tmp_path / "a.tif")
    assert (tags[WIDTH], tags[HEIGHT], tags[DESCRIPTION]) == (4, 3, "abc")


def test_an_image_larger_than_the_limit_of_pillow(tmp_path, monkeypatch):
    Image.new("L", (30, 20)).save(tmp_path / "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_tiff_tags(tmp_path / "a.tif")[WIDTH] == 30


@pytest.mark.parametrize("content", [b"", b"II*", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\x7f"])
def test_other_content_raises(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tif cannot be read"):
        read_tiff_tags(tmp_path / "a.tif")


def test_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tiff_tags(tmp_path / "a.tif")
