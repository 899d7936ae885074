"""Pictures of every kind."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_sam.geometry import ImageError, read_image

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
