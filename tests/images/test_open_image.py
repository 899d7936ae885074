"""Windows of every kind of image against slices of the whole."""

import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from keras_sam.images.image_reader import ArrayReader
from keras_sam.images.open_image import open_image
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import ImageError, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
BOXES = [(0, 0, 90, 70), (0, 0, 1, 1), (13, 5, 60, 41), (89, 69, 90, 70)]


@pytest.fixture
def without_rasterio(monkeypatch):
    """As where the extra is not installed."""
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == "rasterio" else find(name)
    )


def saved(folder, file_format, **options):
    path = folder / f"picture.{file_format.lower()}"
    Image.fromarray(PIXELS).save(path, file_format, **options)
    return path


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_windows_are_parts_of_the_whole_picture(tmp_path, file_format, options):
    path = saved(tmp_path, file_format, **options)
    whole = read_image(path)
    with open_image(path) as image:
        assert image.size == (70, 90)
        assert image.georeference is None
        assert isinstance(image, RasterReader) == (file_format == "TIFF")
        for x0, y0, x1, y1 in BOXES:
            np.testing.assert_array_equal(image.read((x0, y0, x1, y1)), whole[y0:y1, x0:x1])
            assert not image.is_nodata((x0, y0, x1, y1))


@pytest.mark.parametrize("as_what", [bytes, io.BytesIO, Image.open, np.asarray])
def test_what_is_no_path(tmp_path, as_what):
    path = saved(tmp_path, "PNG")
    source = {
        bytes: path.read_bytes,
        io.BytesIO: lambda: io.BytesIO(path.read_bytes()),
        Image.open: lambda: Image.open(path),
        np.asarray: lambda: PIXELS,
    }[as_what]()
    with open_image(source) as image:
        np.testing.assert_array_equal(image.read((13, 5, 60, 41)), PIXELS[5:41, 13:60])


def test_an_array_of_rgb_is_not_copied_and_others_become_it(tmp_path):
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=(70, 90, 3))
    mapped[:] = PIXELS
    with open_image(mapped, max_pixels=1) as image:
        assert np.shares_memory(image.pixels, mapped)
        np.testing.assert_array_equal(image.read((1, 2, 3, 4)), PIXELS[2:4, 1:3])
    with open_image(PIXELS[..., 0]) as image:
        np.testing.assert_array_equal(image.read((0, 0, 90, 70)), read_image(PIXELS[..., 0]))


def test_a_picture_beyond_the_limit_is_read_in_windows(tmp_path):
    path = saved(tmp_path, "PNG")
    with open_image(path, max_pixels=100) as image:
        assert isinstance(image, RasterReader)
        np.testing.assert_array_equal(image.read((13, 5, 60, 41)), PIXELS[5:41, 13:60])


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_a_picture_that_its_camera_turned(tmp_path, file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, file_format, exif=exif)
    whole = read_image(path)
    with open_image(path) as image:
        assert image.size == (90, 70)
        np.testing.assert_array_equal(image.read((5, 13, 41, 60)), whole[13:60, 5:41])
    with pytest.raises(ImageError, match=r"turned by its camera \(orientation 6\)"):
        open_image(path, max_pixels=100)


@pytest.mark.usefixtures("without_rasterio")
def test_without_rasterio(tmp_path):
    path = saved(tmp_path, "TIFF", compression="tiff_lzw")
    with open_image(path) as image:
        assert isinstance(image, ArrayReader)
        np.testing.assert_array_equal(image.read((13, 5, 60, 41)), PIXELS[5:41, 13:60])
    with pytest.raises(ImageError, match="more than the 100 allowed"):
        open_image(path, max_pixels=100)
    (tmp_path / "a.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    for options in ({}, {"bands": (1,)}, {"stretch": (0, 1)}):
        with pytest.raises(ImportError, match=r"keras-sam\[geo\]"):
            open_image(tmp_path / "a.jp2" if not options else path, **options)


def test_a_world_file_beside_a_picture(tmp_path):
    path = saved(tmp_path, "PNG")
    path.with_suffix(".pgw").write_text("10\n0\n0\n-10\n500005\n4599995\n")
    with open_image(path) as image:
        assert image.georeference.transform == (10, 0, 500_000, 0, -10, 4_600_000)


@pytest.mark.parametrize("box", [(0, 0, 91, 70), (-1, 0, 5, 5), (5, 5, 5, 9), (8, 8, 6, 9)])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_windows_outside_the_image_are_refused(tmp_path, box, file_format):
    with (
        open_image(saved(tmp_path, file_format)) as image,
        pytest.raises(ValueError, match=r"in an image of size \(70, 90\)"),
    ):
        image.read(box)


def test_mistakes(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("nothing")
    with pytest.raises(ImageError, match="not a JPEG"):
        open_image(tmp_path / "text.tif")
    with pytest.raises(ValueError, match="for files alone"):
        open_image(PIXELS, bands=(1, 2, 3))
    with pytest.raises(TypeError, match="an image is"):
        open_image(5)
    with pytest.raises(ValueError, match="pixels must be"):
        ArrayReader(PIXELS.astype(float))
