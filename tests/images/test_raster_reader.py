"""Boxes of rasters written by rasterio: bands, value range, nodata and georeference."""

import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from keras_sam.errors import ImageError
from keras_sam.images.georeference import Georeference, read_georeference
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import read_image

RANDOM = np.random.default_rng(0)
TRANSFORM = Affine(0.5, 0.0, 500_000.25, 0.0, -0.5, 4_600_000.75)
SIZE = (70, 90)
WHOLE = (0, 0, 90, 70)
BOXES = [(0, 0, 31, 20), (13, 5, 60, 41), (64, 48, 90, 70)]


def raster(path, values, *, driver="GTiff", colors=None, palette=None, mask=None, **options):
    """Writes `(C, H, W)`."""
    count, height, width = values.shape
    profile = {"driver": driver, "dtype": values.dtype, "count": count}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", height=height, width=width, **profile, **options) as file:
            file.write(values)
            if colors:
                file.colorinterp = [ColorInterp[color] for color in colors]
            if palette:
                file.write_colormap(1, palette)
            if mask is not None:
                file.write_mask(mask)
    return path


def random_values(count, dtype=np.uint8, high=256):
    return RANDOM.integers(0, high, (count, *SIZE)).astype(dtype)


def whole(path, **options):
    with RasterReader(path, **options) as image:
        return image.read(WHOLE)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"},
        {"interleave": "band", "compress": "lzw"},
        {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": True},
    ],
)
def test_boxes_are_parts_of_the_whole_image(tmp_path, options):
    values = random_values(3)
    path = raster(tmp_path / "a.tif", values, **options)
    with RasterReader(path) as image:
        assert image.size == SIZE
        for x0, y0, x1, y1 in BOXES:
            expected = np.moveaxis(values[:, y0:y1, x0:x1], 0, -1)
            np.testing.assert_array_equal(image.read((x0, y0, x1, y1)), expected)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_one_value_range_for_all_boxes(tmp_path, dtype):
    """The boxes differ in brightness. Scaled one by one, they would look alike."""
    values = (random_values(3, np.int64, 100) + 30 * np.arange(90)).astype(dtype)
    path = raster(tmp_path / "a.tif", values, tiled=True, blockxsize=32, blockysize=32)
    low, high = np.percentile(values, (2, 98))
    expected = np.round(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255)
    with RasterReader(path) as image:
        assert image.value_range == pytest.approx((low, high))
        for x0, y0, x1, y1 in [*BOXES, WHOLE]:
            pixels = image.read((x0, y0, x1, y1)).astype(int)
            difference = pixels - np.moveaxis(expected[:, y0:y1, x0:x1], 0, -1)
            assert np.abs(difference).max() <= 1
            assert (difference == 0).mean() > 0.999


def test_value_range_comes_from_a_sample_of_the_whole_image(tmp_path):
    values = np.zeros((1, 1500, 1500), np.uint16)
    values[0, 1400:] = 1000
    path = raster(tmp_path / "a.tif", values, compress="deflate")
    with RasterReader(path) as image:
        assert image.value_range == (0, 1000)
        assert image.read((0, 0, 8, 8)).max() == 0
        assert image.read((0, 1490, 8, 1500)).min() == 255


def test_given_value_range_and_bands(tmp_path):
    values = random_values(5, np.uint16, 1000)
    path = raster(tmp_path / "a.tif", values)
    pixels = whole(path, bands=(5, 1, 3), value_range=(0, 510))
    expected = np.round(np.minimum(values[[4, 0, 2]], 510) / 2)
    np.testing.assert_array_equal(pixels, np.moveaxis(expected, 0, -1))
    gray = whole(path, bands=[2], value_range=(0, 510))
    np.testing.assert_array_equal(
        gray, np.round(np.minimum(values[1], 510) / 2)[..., None] + [0] * 3
    )


def test_default_bands(tmp_path):
    values = random_values(4)
    named = ["blue", "green", "red", "undefined"]
    path = raster(tmp_path / "bgr.tif", values, photometric="minisblack", colors=named)
    np.testing.assert_array_equal(whole(path), np.moveaxis(values[[2, 1, 0]], 0, -1))
    path = raster(tmp_path / "first.tif", values, photometric="minisblack", colors=["gray"] * 4)
    np.testing.assert_array_equal(whole(path), np.moveaxis(values[:3], 0, -1))
    path = raster(tmp_path / "gray.tif", values[:2], colors=["gray", "undefined"])
    np.testing.assert_array_equal(whole(path), np.repeat(values[0][..., None], 3, axis=2))


def test_color_table(tmp_path):
    values = random_values(1, high=4)
    colors = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (1, 2, 3, 255), 3: (9, 9, 9, 255)}
    path = raster(tmp_path / "a.tif", values, palette=colors)
    expected = np.array([color[:3] for color in colors.values()])[values[0]]
    np.testing.assert_array_equal(whole(path), expected)


def test_one_bit_per_pixel(tmp_path):
    values = random_values(1, high=2)
    path = raster(tmp_path / "a.tif", values, nbits=1)
    np.testing.assert_array_equal(whole(path), np.repeat(values[0][..., None] * 255, 3, axis=2))


def test_inverted_gray_equals_pillow(tmp_path):
    values = random_values(1)
    path = raster(tmp_path / "a.tif", values, photometric="miniswhite")
    np.testing.assert_array_equal(whole(path), 255 - np.repeat(values[0][..., None], 3, axis=2))
    np.testing.assert_array_equal(whole(path), read_image(path))


def test_cmyk_equals_pillow(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.moveaxis(random_values(4), 0, -1).copy(), "CMYK").save(path)
    assert np.abs(whole(path) - read_image(path).astype(int)).max() <= 1


def test_pixels_without_data_are_white_and_not_in_the_value_range(tmp_path):
    values = random_values(3, np.float32, 100) + 100
    values[:, :, :40] = -9999
    values[0, 0, 50] = np.nan
    with RasterReader(raster(tmp_path / "a.tif", values, nodata=-9999)) as image:
        assert image.value_range[0] >= 100
        assert (image.read((0, 0, 40, 70)) == 255).all()
        assert (image.read((50, 0, 51, 1)) == 255).all()
        assert image.read((40, 1, 90, 70)).mean() < 200
        assert image.is_nodata((0, 0, 40, 70))
        assert not image.is_nodata((0, 0, 41, 70))


def test_transparent_pixels_are_blended_with_white(tmp_path):
    values = random_values(4)
    path = raster(tmp_path / "a.tif", values, photometric="rgb", alpha="NON-PREMULTIPLIED")
    opacity = values[3, ..., None] / 255
    expected = np.moveaxis(values[:3], 0, -1) * opacity + 255 * (1 - opacity)
    assert np.abs(whole(path) - expected).max() <= 0.5 + 1e-3


def test_mask_of_the_file(tmp_path):
    values = random_values(3)
    mask = np.full(SIZE, 255, np.uint8)
    mask[:30] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = raster(tmp_path / "a.tif", values, mask=mask)
    expected = np.where(mask[..., None] > 0, np.moveaxis(values, 0, -1), 255)
    np.testing.assert_array_equal(whole(path), expected)


@pytest.mark.parametrize(
    ("options", "crs"),
    [
        ({"crs": "EPSG:32633"}, "EPSG:32633"),
        ({"crs": "EPSG:4326"}, "EPSG:4326"),
        ({"crs": "EPSG:25832", "tiled": True, "compress": "lzw", "BIGTIFF": "YES"}, "EPSG:25832"),
        ({}, None),
    ],
)
def test_georeference_equals_that_of_read_georeference(tmp_path, options, crs):
    path = raster(tmp_path / "a.tif", random_values(3), transform=TRANSFORM, **options)
    with RasterReader(path) as image:
        assert image.georeference == Georeference(tuple(TRANSFORM)[:6], crs)
    assert read_georeference(path) == Georeference(tuple(TRANSFORM)[:6], crs)


@pytest.mark.parametrize(("count", "dtype"), [(4, np.uint16), (5, np.float32), (1, np.int16)])
def test_georeference_of_dtypes_that_pillow_cannot_open(tmp_path, count, dtype):
    values = random_values(count, dtype)
    path = raster(tmp_path / "a.tif", values, transform=TRANSFORM, crs="EPSG:32633")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.crs == "EPSG:32633"


def test_georeference_from_a_world_file(tmp_path):
    path = raster(tmp_path / "a.tif", random_values(1))
    path.with_suffix(".tfw").write_text("0.5\n0\n0\n-0.5\n500000.5\n4600000.5\n")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path) == Georeference(tuple(TRANSFORM)[:6])


def test_rotated_georeference(tmp_path):
    rotated = Affine(0.5, 0.25, 10.0, 0.125, -0.5, 20.0)
    path = raster(tmp_path / "a.tif", random_values(1), transform=rotated, crs="EPSG:32633")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.transform == tuple(rotated)[:6]


def test_georeference_of_pixel_centers(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", "GTiff", 90, 70, 1, "EPSG:32633", TRANSFORM, "uint8") as file:
        file.update_tags(AREA_OR_POINT="Point")
        file.write(random_values(1))
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.transform == tuple(TRANSFORM)[:6]


def test_georeference_of_a_file_larger_than_pillow_allows(tmp_path, monkeypatch):
    path = raster(tmp_path / "a.tif", random_values(1), transform=TRANSFORM, crs="EPSG:32633")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_georeference(path) == Georeference(tuple(TRANSFORM)[:6], "EPSG:32633")


def test_no_georeference(tmp_path):
    with RasterReader(raster(tmp_path / "a.tif", random_values(1))) as image:
        assert image.georeference is None


def test_a_damaged_file_raises(tmp_path):
    path = raster(tmp_path / "a.tif", random_values(3), compress="deflate")
    path.write_bytes(path.read_bytes()[:4000])
    with RasterReader(path) as image, pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        image.read(WHOLE)


def test_large_blocks_raise(tmp_path):
    path = raster(tmp_path / "a.tif", random_values(3), compress="deflate", blockysize=70)
    with pytest.raises(ImageError, match="blocks of 18900 bytes, more than the 18899 allowed"):
        RasterReader(path, max_block_bytes=18_899)
    assert whole(path, max_block_bytes=18_900).shape == (*SIZE, 3)


@pytest.mark.parametrize("bands", [(0, 1, 2), (1, 2), (1, 2, 4), ()])
def test_invalid_bands_raise(tmp_path, bands):
    path = raster(tmp_path / "a.tif", random_values(3))
    with pytest.raises(ValueError, match="one or three indices from 1 to 3"):
        RasterReader(path, bands=bands)


@pytest.mark.parametrize("value_range", [(1, 1), (2, 1), (0, float("inf"))])
def test_invalid_value_range_raises(tmp_path, value_range):
    path = raster(tmp_path / "a.tif", random_values(3))
    with pytest.raises(ValueError, match="low < high"):
        RasterReader(path, value_range=value_range)


def test_complex_numbers_raise(tmp_path):
    path = raster(tmp_path / "a.tif", random_values(1).astype(np.complex64))
    with pytest.raises(ImageError, match="one real dtype"):
        RasterReader(path)
