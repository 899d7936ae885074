"""Raster files from strangers: which files are opened, and by which driver."""

import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from keras_sam.errors import ImageError, RotatedImageError
from keras_sam.images.open_raster import gdal_errors, import_rasterio, open_raster

VALUES = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
VRT = """<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource>
</VRTRasterBand></VRTDataset>"""


def opened(path, max_block_bytes=2**20):
    return open_raster(path, max_block_bytes=max_block_bytes)


def saved(path, values=VALUES, **options):
    Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("file_format", "driver"),
    [
        ("TIFF", "GTiff"),
        ("JPEG2000", "JP2OpenJPEG"),
        ("JPEG", "JPEG"),
        ("PNG", "PNG"),
        ("WEBP", "WEBP"),
        ("BMP", "BMP"),
    ],
)
def test_the_driver_follows_from_the_content(tmp_path, file_format, driver):
    with opened(saved(tmp_path / "image", format=file_format)) as dataset:
        assert dataset.driver == driver
        assert dataset.shape == VALUES.shape


@pytest.mark.parametrize("name", ["/vsizip/{}", "/vsimem/a.tif", ".", "zero\0"])
def test_names_that_are_not_files_raise(tmp_path, monkeypatch, name):
    path = saved(tmp_path / "a.tif")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="not a file"):
        opened(Path(name.format(path)))


@pytest.mark.parametrize(
    "name", ["GTIFF_DIR:1:a.tif", "http://localhost/a.tif", "none.tif", "zip://a.zip!a.tif"]
)
def test_names_with_a_meaning_for_gdal_are_only_paths(tmp_path, monkeypatch, name):
    saved(tmp_path / "a.tif")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        opened(Path(name))


@pytest.mark.parametrize(("name", "content"), [("GTIFF_DIR:1:a.tif", "text"), ("a.vrt", VRT)])
def test_files_of_other_drivers_raise(tmp_path, monkeypatch, name, content):
    saved(tmp_path / "a.tif")
    (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="is not a TIFF"):
        opened(Path(name))


def test_a_file_makes_no_network_connection(tmp_path):
    """The metadata of a file can name overviews on the network, which GDAL then requests."""
    path = saved(tmp_path / "a.tif", np.zeros((20, 2000), np.uint8))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"/vsicurl/http://127.0.0.1:{server.getsockname()[1]}/a.ovr"
        with gdal_errors("a.tif"), rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=address)
        with opened(path) as dataset, gdal_errors("a.tif"):
            assert not dataset.read(out_shape=(1, 10, 1000)).any()  # looks for overviews
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_rotation_in_the_metadata_raises(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with pytest.raises(RotatedImageError, match="EXIF orientation 6"):
        opened(saved(tmp_path / "a.jpg", exif=exif))


def test_large_blocks_raise(tmp_path):
    path = saved(tmp_path / "a.bmp")  # a block is a row of 30 bytes
    with pytest.raises(ImageError, match="blocks of 30 bytes, more than the 29 allowed"):
        opened(path, max_block_bytes=29)
    opened(path, max_block_bytes=30).close()


def test_errors_of_rasterio_are_image_errors():
    with (
        pytest.raises(ImageError, match=r"a\.tif cannot be read as a raster: no such band"),
        gdal_errors("a.tif"),
    ):
        raise rasterio.errors.RasterioIOError("no such band")


def test_missing_rasterio_raises(monkeypatch):
    assert import_rasterio() is rasterio
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ImportError, match=r"keras-sam\[geo\]"):
        import_rasterio()
