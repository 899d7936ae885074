"""Pictures of every kind."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_sam.images.read_image import ImageError, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(picture, file_format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_formats(file_format):
    found = read_image(encoded(Image.fromarray(PIXELS), file_format))
    assert found.shape == PIXELS.shape
    if file_format in ("PNG", "BMP", "TIFF"):
        np.testing.assert_array_equal(found, PIXELS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_modes(mode):
    assert read_image(Image.fromarray(PIXELS).convert(mode)).shape == PIXELS.shape


def test_16_bits_are_stretched():
    found = read_image(np.array([[100, 140, 200]], np.uint16))
    np.testing.assert_array_equal(found[0, :, 0], [0, 102, 255])


def png_of_16_bits(values):
    """A PNG of `(H, W, C)` uint16, which Pillow does not write."""
    height, width, channels = values.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_a_gray_file_of_16_bits_is_stretched():
    found = read_image(png_of_16_bits(np.array([[[100], [140], [200]]], np.uint16)))
    np.testing.assert_array_equal(found, np.array([[[0] * 3, [102] * 3, [255] * 3]]))


def test_a_color_file_of_16_bits_keeps_its_high_byte():
    values = np.random.default_rng(0).integers(0, 30_000, (4, 5, 3), dtype=np.uint16)
    np.testing.assert_array_equal(read_image(png_of_16_bits(values)), values >> 8)


@pytest.mark.parametrize("channels", [2, 4])
def test_a_transparent_file_of_16_bits_keeps_its_high_byte(channels):
    values = np.random.default_rng(0).integers(0, 30_000, (4, 5, channels), dtype=np.uint16)
    values[..., -1] = 65_535
    values[0, 0, -1] = 0
    expected = np.broadcast_to(values[..., :-1] >> 8, (4, 5, 3)).copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(read_image(png_of_16_bits(values)), expected)


def test_an_array_of_16_bits_is_stretched_over_all_channels_together():
    found = read_image(np.array([[[100, 140, 200]]], np.uint16))
    np.testing.assert_array_equal(found, [[[0, 102, 255]]])


def test_transparency_lies_over_white():
    clear = np.zeros((2, 2, 4), np.uint8)
    np.testing.assert_array_equal(read_image(clear), 255)


def test_rotation_of_a_camera_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(encoded(Image.fromarray(PIXELS), "JPEG", exif=exif)).shape == (30, 20, 3)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
    data = encoded(Image.fromarray(PIXELS), "PNG")
    for source, options in (
        (b"nothing", {}),
        (data[:200], {}),
        (data, {"max_pixels": 599}),
        (np.zeros((2, 2, 7)), {}),
        (np.array([[np.nan, 1.0]]), {}),
    ):
        with pytest.raises(ImageError):
            read_image(source, **options)


@pytest.fixture
def pillow_takes_100_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.usefixtures("pillow_takes_100_pixels")
def test_max_pixels_takes_the_place_of_pillows_limit(tmp_path, file_format):
    data = encoded(Image.fromarray(PIXELS), file_format)
    (tmp_path / "picture").write_bytes(data)
    for source in (data, io.BytesIO(data), tmp_path / "picture"):
        assert read_image(source, max_pixels=600).shape == PIXELS.shape
        with pytest.raises(ImageError, match="30 x 20 pixels, more than the 599 allowed"):
            read_image(source, max_pixels=599)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("file_format", ["TIFF", "WEBP"])
@pytest.mark.usefixtures("pillow_takes_100_pixels")
def test_pillows_limit_is_told_where_it_counts(file_format):
    with pytest.raises(ImageError, match="larger than Pillow takes"):
        read_image(encoded(Image.fromarray(PIXELS), file_format))


def test_a_forged_header_is_refused_before_it_is_decoded():
    forged = bytearray(encoded(Image.fromarray(PIXELS), "PNG"))
    forged[16:24] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    forged[29:33] = struct.pack(">I", zlib.crc32(forged[12:29]))
    with pytest.raises(ImageError, match="2147483647 x 2147483647 pixels"):
        read_image(bytes(forged))


@pytest.mark.usefixtures("pillow_takes_100_pixels")
def test_warnings_stay_as_they_are():
    before = list(warnings.filters)
    read_image(encoded(Image.fromarray(PIXELS), "PNG"))
    assert warnings.filters == before


class Download:
    """A file that cannot go back."""

    def __init__(self, content):
        self.content = content

    def read(self, size=-1):
        return self.content


def test_open_files_are_read_from_their_beginning(tmp_path):
    data = encoded(Image.fromarray(PIXELS), "PNG")
    (tmp_path / "picture").write_bytes(data)
    with (tmp_path / "picture").open("rb") as file:
        file.read(100)
        np.testing.assert_array_equal(read_image(file), PIXELS)
        assert not file.closed
    np.testing.assert_array_equal(read_image(Download(data)), PIXELS)


@pytest.mark.parametrize(
    "source",
    [None, 5, bytearray(b"x"), memoryview(b"x"), [[1]], object(), io.StringIO("x"), Download("x")],
    ids=lambda source: type(source).__name__,
)
def test_other_types_are_refused(source):
    with pytest.raises(TypeError, match="an image"):
        read_image(source)


def test_other_paths_are_refused(tmp_path):
    for path in (tmp_path, "zero\0", "long" * 5000):
        with pytest.raises(ImageError):
            read_image(path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4),
        np.full((2, 2), None),
        np.full((2, 2), "a"),
        np.zeros((2, 2), complex),
        np.array([[[1.0, np.nan]]]),
        np.array([[[0, 0, 0, np.inf]]]),
    ],
    ids=repr,
)
def test_arrays_that_are_no_image_are_refused(array):
    with pytest.raises(ImageError):
        read_image(array)
