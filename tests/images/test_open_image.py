"""Readers of every kind of image, against slices of the whole image."""

import importlib.util
import io
import sys

import numpy as np
import pytest
from PIL import Image

from keras_sam.errors import ImageError
from keras_sam.images.image_reader import ArrayReader
from keras_sam.images.open_image import open_image
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
BOX = (13, 5, 60, 41)
PART = PIXELS[5:41, 13:60]
BOXES = [(0, 0, 90, 70), (0, 0, 1, 1), BOX, (89, 69, 90, 70)]


@pytest.fixture
def without_rasterio(monkeypatch):
    """Makes rasterio appear as not installed."""
    monkeypatch.setitem(sys.modules, "rasterio", None)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *_: None if name == "rasterio" else find_spec(name),
    )


def saved(folder, file_format, **options):
    path = folder / f"image.{file_format.lower()}"
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
def test_boxes_are_parts_of_the_whole_image(tmp_path, file_format, options):
    path = saved(tmp_path, file_format, **options)
    whole = read_image(path)
    with open_image(path) as image:
        assert image.size == (70, 90)
        assert image.georeference is None
        assert isinstance(image, RasterReader) == (file_format == "TIFF")
        for x0, y0, x1, y1 in BOXES:
            np.testing.assert_array_equal(image.read((x0, y0, x1, y1)), whole[y0:y1, x0:x1])
            assert not image.is_nodata((x0, y0, x1, y1))


@pytest.mark.parametrize(
    "to_source",
    [
        lambda path: path.read_bytes(),
        lambda path: io.BytesIO(path.read_bytes()),
        Image.open,
        lambda path: PIXELS,
    ],
    ids=["bytes", "file", "PIL image", "array"],
)
def test_sources_other_than_paths(tmp_path, to_source):
    with open_image(to_source(saved(tmp_path, "PNG"))) as image:
        np.testing.assert_array_equal(image.read(BOX), PART)


def test_rgb_arrays_are_not_copied(tmp_path):
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=(70, 90, 3))
    with open_image(mapped, max_pixels=1) as image:
        mapped[:] = PIXELS
        np.testing.assert_array_equal(image.read(BOX), PART)


def test_other_arrays_are_converted():
    with open_image(PIXELS[..., 0]) as image:
        np.testing.assert_array_equal(image.read((0, 0, 90, 70)), read_image(PIXELS[..., 0]))


def test_an_image_with_more_than_max_pixels_is_read_in_boxes(tmp_path):
    with open_image(saved(tmp_path, "PNG"), max_pixels=100) as image:
        assert isinstance(image, RasterReader)
        np.testing.assert_array_equal(image.read(BOX), PART)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG", "TIFF"])
def test_a_rotation_in_the_metadata_is_applied(tmp_path, file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path, file_format, exif=exif)
    whole = read_image(path)
    with open_image(path) as image:
        assert image.size == (90, 70)
        np.testing.assert_array_equal(image.read((5, 13, 41, 60)), whole[13:60, 5:41])
    with pytest.raises(ImageError, match="EXIF orientation 6"):
        open_image(path, max_pixels=100)


@pytest.mark.usefixtures("without_rasterio")
def test_without_rasterio_tiff_files_are_decoded_as_a_whole(tmp_path):
    path = saved(tmp_path, "TIFF", compression="tiff_lzw")
    with open_image(path) as image:
        assert isinstance(image, ArrayReader)
        np.testing.assert_array_equal(image.read(BOX), PART)
    with pytest.raises(ImageError, match="more than the 100 allowed"):
        open_image(path, max_pixels=100)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jp2", {}), ("image.tiff", {"bands": (1,)}), ("image.tiff", {"value_range": (0, 1)})],
)
@pytest.mark.usefixtures("without_rasterio")
def test_what_needs_rasterio_raises_without_it(tmp_path, name, options):
    saved(tmp_path, "TIFF")
    (tmp_path / "a.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    with pytest.raises(ImportError, match=r"keras-sam\[geo\]"):
        open_image(tmp_path / name, **options)


def test_georeference_from_a_world_file(tmp_path):
    path = saved(tmp_path, "PNG")
    path.with_suffix(".pgw").write_text("10\n0\n0\n-10\n500005\n4599995\n")
    with open_image(path) as image:
        assert image.georeference.transform == (10, 0, 500_000, 0, -10, 4_600_000)


@pytest.mark.parametrize("box", [(0, 0, 91, 70), (-1, 0, 5, 5), (5, 5, 5, 9), (8, 8, 6, 9)])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_boxes_outside_the_image_raise(tmp_path, box, file_format):
    with (
        open_image(saved(tmp_path, file_format)) as image,
        pytest.raises(ValueError, match=r"inside an image of size \(70, 90\)"),
    ):
        image.read(box)


def test_invalid_sources_and_options_raise(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("nothing")
    with pytest.raises(ImageError, match="not a JPEG"):
        open_image(tmp_path / "text.tif")
    with pytest.raises(ValueError, match="only for files"):
        open_image(PIXELS, bands=(1, 2, 3))
    with pytest.raises(TypeError, match="an image must be"):
        open_image(5)
