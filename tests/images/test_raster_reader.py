"""Windows of rasters written by rasterio: bands, stretch, nodata, georeference, limits."""

import socket
import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from keras_sam.images.georeference import Georeference, read_georeference
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import ImageError, read_image

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


def numbers(count, dtype=np.uint8, high=256):
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
def test_windows_are_parts_of_the_whole(tmp_path, options):
    values = numbers(3)
    path = raster(tmp_path / "a.tif", values, **options)
    with RasterReader(path) as image:
        assert image.size == SIZE
        for x0, y0, x1, y1 in BOXES:
            expected = np.moveaxis(values[:, y0:y1, x0:x1], 0, -1)
            np.testing.assert_array_equal(image.read((x0, y0, x1, y1)), expected)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_one_stretch_for_all_windows(tmp_path, dtype):
    """The windows differ much in brightness; each by itself would come out alike."""
    values = (numbers(3, np.int64, 100) + 30 * np.arange(90)).astype(dtype)
    path = raster(tmp_path / "a.tif", values, tiled=True, blockxsize=32, blockysize=32)
    low, high = np.percentile(values, (2, 98))
    expected = np.round(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255)
    with RasterReader(path) as image:
        assert image.stretch == pytest.approx((low, high))
        for x0, y0, x1, y1 in [*BOXES, WHOLE]:
            found = image.read((x0, y0, x1, y1)).astype(int)
            difference = found - np.moveaxis(expected[:, y0:y1, x0:x1], 0, -1)
            assert np.abs(difference).max() <= 1
            assert (difference == 0).mean() > 0.999


def test_the_range_is_of_a_sample_of_the_whole_image(tmp_path):
    values = np.zeros((1, 1500, 1500), np.uint16)
    values[0, 1400:] = 1000
    path = raster(tmp_path / "a.tif", values, compress="deflate")
    with RasterReader(path) as image:
        assert image.stretch == (0, 1000)
        assert image.read((0, 0, 8, 8)).max() == 0
        assert image.read((0, 1490, 8, 1500)).min() == 255


def test_a_stretch_of_ones_own_and_other_bands(tmp_path):
    values = numbers(5, np.uint16, 1000)
    path = raster(tmp_path / "a.tif", values)
    found = whole(path, bands=(5, 1, 3), stretch=(0, 510))
    expected = np.round(np.minimum(values[[4, 0, 2]], 510) / 2)
    np.testing.assert_array_equal(found, np.moveaxis(expected, 0, -1))
    gray = whole(path, bands=[2], stretch=(0, 510))
    np.testing.assert_array_equal(
        gray, np.round(np.minimum(values[1], 510) / 2)[..., None] + [0] * 3
    )


def test_which_bands_are_shown(tmp_path):
    values = numbers(4)
    named = ["blue", "green", "red", "undefined"]
    path = raster(tmp_path / "bgr.tif", values, photometric="minisblack", colors=named)
    np.testing.assert_array_equal(whole(path), np.moveaxis(values[[2, 1, 0]], 0, -1))
    path = raster(tmp_path / "first.tif", values, photometric="minisblack", colors=["gray"] * 4)
    np.testing.assert_array_equal(whole(path), np.moveaxis(values[:3], 0, -1))
    path = raster(tmp_path / "gray.tif", values[:2], colors=["gray", "undefined"])
    np.testing.assert_array_equal(whole(path), np.repeat(values[0][..., None], 3, axis=2))


def test_a_palette(tmp_path):
    values = numbers(1, high=4)
    colors = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (1, 2, 3, 255), 3: (9, 9, 9, 255)}
    path = raster(tmp_path / "a.tif", values, palette=colors)
    expected = np.array([color[:3] for color in colors.values()])[values[0]]
    np.testing.assert_array_equal(whole(path), expected)


def test_one_bit(tmp_path):
    values = numbers(1, high=2)
    path = raster(tmp_path / "a.tif", values, nbits=1)
    np.testing.assert_array_equal(whole(path), np.repeat(values[0][..., None] * 255, 3, axis=2))


def test_other_color_spaces_are_as_pillow_reads_them(tmp_path):
    values = numbers(4)
    path = raster(tmp_path / "negative.tif", values[:1], photometric="miniswhite")
    np.testing.assert_array_equal(whole(path), 255 - np.repeat(values[0][..., None], 3, axis=2))
    np.testing.assert_array_equal(whole(path), read_image(path))
    Image.fromarray(np.moveaxis(values, 0, -1).copy(), "CMYK").save(tmp_path / "inks.tif")
    assert (
        np.abs(whole(tmp_path / "inks.tif") - read_image(tmp_path / "inks.tif").astype(int)).max()
        <= 1
    )


def test_pixels_without_data_are_white_and_do_not_count_for_the_stretch(tmp_path):
    values = numbers(3, np.float32, 100) + 100
    values[:, :, :40] = -9999
    values[0, 0, 50] = np.nan
    with RasterReader(raster(tmp_path / "a.tif", values, nodata=-9999)) as image:
        assert image.stretch[0] >= 100
        assert (image.read((0, 0, 40, 70)) == 255).all()
        assert (image.read((50, 0, 51, 1)) == 255).all()
        assert image.read((40, 1, 90, 70)).mean() < 200
        assert image.is_nodata((0, 0, 40, 70))
        assert not image.is_nodata((0, 0, 41, 70))


def test_transparency_lies_over_white(tmp_path):
    values = numbers(4)
    path = raster(tmp_path / "a.tif", values, photometric="rgb", alpha="NON-PREMULTIPLIED")
    share = values[3, ..., None] / 255
    expected = np.moveaxis(values[:3], 0, -1) * share + 255 * (1 - share)
    assert np.abs(whole(path) - expected).max() <= 0.5 + 1e-3


def test_a_mask_of_the_file(tmp_path):
    values = numbers(3)
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
def test_both_readers_find_one_georeference(tmp_path, options, crs):
    path = raster(tmp_path / "a.tif", numbers(3), transform=TRANSFORM, **options)
    with RasterReader(path) as image:
        assert image.georeference == Georeference(tuple(TRANSFORM)[:6], crs)
    assert read_georeference(path) == Georeference(tuple(TRANSFORM)[:6], crs)


@pytest.mark.parametrize(("count", "dtype"), [(4, np.uint16), (5, np.float32), (1, np.int16)])
def test_both_readers_find_the_georeference_of_what_pillow_shows_not(tmp_path, count, dtype):
    values = numbers(count, dtype)
    path = raster(tmp_path / "a.tif", values, transform=TRANSFORM, crs="EPSG:32633")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.crs == "EPSG:32633"


def test_both_readers_find_a_world_file(tmp_path):
    path = raster(tmp_path / "a.tif", numbers(1))
    path.with_suffix(".tfw").write_text("0.5\n0\n0\n-0.5\n500000.5\n4600000.5\n")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path) == Georeference(tuple(TRANSFORM)[:6])


def test_a_rotated_georeference_and_pixels_as_points(tmp_path):
    turned = Affine(0.5, 0.25, 10.0, 0.125, -0.5, 20.0)
    path = raster(tmp_path / "a.tif", numbers(1), transform=turned, crs="EPSG:32633")
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.transform == tuple(turned)[:6]
    path = tmp_path / "point.tif"
    with rasterio.open(path, "w", "GTiff", 90, 70, 1, "EPSG:32633", TRANSFORM, "uint8") as file:
        file.update_tags(AREA_OR_POINT="Point")
        file.write(numbers(1))
    with RasterReader(path) as image:
        assert image.georeference == read_georeference(path)
        assert image.georeference.transform == tuple(TRANSFORM)[:6]


def test_the_georeference_of_a_file_larger_than_pillow_takes(tmp_path, monkeypatch):
    path = raster(tmp_path / "a.tif", numbers(1), transform=TRANSFORM, crs="EPSG:32633")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_georeference(path) == Georeference(tuple(TRANSFORM)[:6], "EPSG:32633")


def test_no_georeference(tmp_path):
    with RasterReader(raster(tmp_path / "a.tif", numbers(1))) as image:
        assert image.georeference is None


def test_only_files_of_this_machine_and_of_some_drivers(tmp_path, monkeypatch):
    path = raster(tmp_path / "a.tif", numbers(1))
    monkeypatch.chdir(tmp_path)
    for name in (f"/vsizip/{path}", "/vsimem/a.tif", tmp_path, "zero\0"):
        with pytest.raises(ImageError, match="not a file"):
            RasterReader(name)
    for name in ("GTIFF_DIR:1:a.tif", "http://localhost/a.tif", "none.tif", "zip://a.zip!a.tif"):
        with pytest.raises(FileNotFoundError):
            RasterReader(name)
    (tmp_path / "GTIFF_DIR:1:a.tif").write_text("nothing")
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        "<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    for name in ("GTIFF_DIR:1:a.tif", "a.vrt"):
        with pytest.raises(ImageError, match="is not a TIFF"):
            RasterReader(name)


def test_a_file_makes_no_connection(tmp_path):
    """A file may say that its overviews lie on the network, and GDAL goes there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"/vsicurl/http://127.0.0.1:{server.getsockname()[1]}/a.ovr"
        path = raster(tmp_path / "a.tif", np.zeros((1, 20, 2000), np.uint16))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "r+") as file:
                file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=address)
        with RasterReader(path) as image:
            assert image.stretch == (0, 1)  # of a sample, for which overviews are looked up
        with pytest.raises(BlockingIOError):
            server.accept()


def test_damaged_files_and_large_blocks_are_refused(tmp_path):
    path = raster(tmp_path / "a.tif", numbers(3), compress="deflate")
    path.write_bytes(path.read_bytes()[:4000])
    with RasterReader(path) as image, pytest.raises(ImageError, match=r"a\.tif cannot be read"):
        image.read(WHOLE)
    path = raster(tmp_path / "b.tif", numbers(3), compress="deflate", blockysize=70)
    with pytest.raises(ImageError, match="blocks of 18900 bytes, more than the 18899 allowed"):
        RasterReader(path, max_block_bytes=18_899)
    assert whole(path, max_block_bytes=18_900).shape == (*SIZE, 3)


def test_senseless_options_are_refused(tmp_path):
    path = raster(tmp_path / "a.tif", numbers(3))
    for bands in ((0, 1, 2), (1, 2), (1, 2, 4), ()):
        with pytest.raises(ValueError, match="one or three of 1 to 3"):
            RasterReader(path, bands=bands)
    for stretch in ((1, 1), (2, 1), (0, float("inf"))):
        with pytest.raises(ValueError, match="low < high"):
            RasterReader(path, stretch=stretch)
    path = raster(tmp_path / "c.tif", numbers(1).astype(np.complex64))
    with pytest.raises(ImageError, match="one kind of numbers"):
        RasterReader(path)
