"""Images of every kind, against Pillow and NumPy."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_sam.errors import ImageError, TooManyPixelsError
from keras_sam.images.read_image import read_image, read_orientation, read_size

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_formats(file_format):
    image = encoded(Image.fromarray(PIXELS), file_format)
    expected = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    np.testing.assert_array_equal(read_image(image), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_modes(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    np.testing.assert_array_equal(read_image(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_arrays_of_more_than_8_bits_are_scaled(dtype):
    image = read_image(np.array([[100, 140, 200]], dtype))
    np.testing.assert_array_equal(image[0, :, 0], [0, 102, 255])


def test_boolean_arrays_are_black_and_white():
    np.testing.assert_array_equal(read_image(np.array([[False, True]]))[0, :, 0], [0, 255])


def png_of_16_bits(values):
    """A PNG file of `(H, W, C)` uint16, which Pillow cannot write."""
    height, width, channels = values.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_16_bit_gray_files_are_scaled():
    image = read_image(png_of_16_bits(np.array([[[100], [140], [200]]], np.uint16)))
    np.testing.assert_array_equal(image, [[[0] * 3, [102] * 3, [255] * 3]])


def test_16_bit_color_files_keep_the_high_byte():
    values = np.random.default_rng(0).integers(0, 30_000, (4, 5, 3), dtype=np.uint16)
    np.testing.assert_array_equal(read_image(png_of_16_bits(values)), values >> 8)


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bit_files_with_transparency_keep_the_high_byte(channels):
    values = np.random.default_rng(0).integers(0, 30_000, (4, 5, channels), dtype=np.uint16)
    values[..., -1] = 65_535
    values[0, 0, -1] = 0
    expected = np.broadcast_to(values[..., :-1] >> 8, (4, 5, 3)).copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(read_image(png_of_16_bits(values)), expected)


def test_channels_are_scaled_together():
    image = read_image(np.array([[[100, 140, 200]]], np.uint16))
    np.testing.assert_array_equal(image, [[[0, 102, 255]]])


@pytest.mark.parametrize("channels", [2, 4])
def test_transparent_pixels_are_blended_with_white(channels):
    array = np.zeros((1, 3, channels), np.uint8)
    array[..., -1] = [0, 51, 255]
    np.testing.assert_array_equal(read_image(array), [[[255] * 3, [204] * 3, [0] * 3]])
    mode = "LA" if channels == 2 else "RGBA"
    np.testing.assert_array_equal(read_image(Image.fromarray(array, mode)), read_image(array))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 9])
def test_the_orientation_in_the_metadata_is_applied(tmp_path, file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(PIXELS), file_format, exif=exif)
    stored = read_image(encoded(Image.fromarray(PIXELS), file_format))
    quarter_turns = {3: 2, 6: 3, 8: 1}.get(orientation, 0)
    np.testing.assert_array_equal(read_image(data), np.rot90(stored, quarter_turns))
    (tmp_path / "image").write_bytes(data)
    assert read_orientation(tmp_path / "image") == (1 if orientation == 9 else orientation)
    assert read_size(tmp_path / "image") == read_image(tmp_path / "image").shape[:2]


@pytest.mark.parametrize("content", [b"nothing", b"\xff\xd8\xff", b"II*\0"])
def test_the_orientation_of_other_files_raises(tmp_path, content):
    (tmp_path / "image").write_bytes(content)
    with pytest.raises(ImageError):
        read_orientation(tmp_path / "image")


def test_a_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no image at"):
        read_image(tmp_path / "none.png")


@pytest.mark.parametrize(
    "content", [b"", b"nothing", encoded(Image.fromarray(PIXELS), "PNG")[:200]], ids=len
)
def test_other_content_raises(content):
    with pytest.raises(ImageError):
        read_image(content)


@pytest.fixture
def pillow_allows_100_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.usefixtures("pillow_allows_100_pixels")
def test_max_pixels_replaces_the_limit_of_pillow(tmp_path, file_format):
    data = encoded(Image.fromarray(PIXELS), file_format)
    (tmp_path / "image").write_bytes(data)
    for source in (data, io.BytesIO(data), tmp_path / "image"):
        assert read_image(source, max_pixels=600).shape == PIXELS.shape
        with pytest.raises(TooManyPixelsError, match="30 x 20 pixels, more than the 599 allowed"):
            read_image(source, max_pixels=599)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("file_format", ["TIFF", "WEBP"])
@pytest.mark.usefixtures("pillow_allows_100_pixels")
def test_the_limit_of_pillow_applies_to_some_formats(file_format):
    with pytest.raises(TooManyPixelsError, match="larger than Pillow allows"):
        read_image(encoded(Image.fromarray(PIXELS), file_format))


def test_a_forged_size_raises_before_decoding():
    forged = bytearray(encoded(Image.fromarray(PIXELS), "PNG"))
    forged[16:24] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    forged[29:33] = struct.pack(">I", zlib.crc32(forged[12:29]))
    with pytest.raises(ImageError, match="2147483647 x 2147483647 pixels"):
        read_image(bytes(forged))


@pytest.mark.usefixtures("pillow_allows_100_pixels")
def test_warning_filters_are_restored():
    before = list(warnings.filters)
    read_image(encoded(Image.fromarray(PIXELS), "PNG"))
    assert warnings.filters == before


class Download:
    """A file without `seek`."""

    def __init__(self, content):
        self.content = content

    def read(self, size=-1):
        return self.content


def test_open_files_are_read_from_the_start(tmp_path):
    data = encoded(Image.fromarray(PIXELS), "PNG")
    (tmp_path / "image").write_bytes(data)
    with (tmp_path / "image").open("rb") as file:
        file.read(100)
        np.testing.assert_array_equal(read_image(file), PIXELS)
        assert not file.closed
    np.testing.assert_array_equal(read_image(Download(data)), PIXELS)


@pytest.mark.parametrize(
    "source",
    [None, 5, bytearray(b"x"), memoryview(b"x"), [[1]], object(), io.StringIO("x"), Download("x")],
    ids=lambda source: type(source).__name__,
)
def test_other_types_raise(source):
    with pytest.raises(TypeError, match="an image"):
        read_image(source)


def test_paths_that_are_not_files_raise(tmp_path):
    for path in (tmp_path, "zero\0", "long" * 5000):
        with pytest.raises(ImageError):
            read_image(path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 2, 7)),
        np.array([[np.nan, 1.0]]),
        np.zeros(4),
        np.full((2, 2), None),
        np.full((2, 2), "a"),
        np.zeros((2, 2), complex),
        np.array([[[1.0, np.nan]]]),
        np.array([[[0, 0, 0, np.inf]]]),
    ],
    ids=repr,
)
def test_other_arrays_raise(array):
    with pytest.raises(ImageError):
        read_image(array)


def test_size_of_a_bad_file_raises(tmp_path):
    Image.new("L", (300, 200)).save(tmp_path / "large.png")
    with pytest.raises(TooManyPixelsError, match=r"large.png has 300 x 200 pixels, more than"):
        read_size(tmp_path / "large.png", max_pixels=59_999)
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ImageError, match=r"text.png is not a JPEG"):
        read_size(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        read_size(tmp_path / "missing.png")
