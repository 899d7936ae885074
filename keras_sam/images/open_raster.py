"""`open_raster`: a raster file opened by rasterio, also if it comes from a stranger."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.errors import ImageError, RotatedImageError
from keras_sam.images.read_image import read_orientation

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # also BigTIFF
JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ")
# The GDAL driver for each signature. GDAL has about a hundred more, some of which follow links.
DRIVERS = {
    **dict.fromkeys(TIFF, "GTiff"),
    **dict.fromkeys(JPEG_2000, "JP2OpenJPEG"),
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WEBP",
    b"BM": "BMP",
}
GDAL_OPTIONS = {
    # The metadata of a file can make GDAL load overviews from other files: allow none by network.
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_CACHEMAX": 2**28,  # bytes of decoded blocks. GDAL's default is 5% of the memory
}


def open_raster(path: Path, *, max_block_bytes: int) -> Any:
    """Open a raster file with rasterio.

    Only local files are opened, by the drivers for GeoTIFF, JPEG 2000, JPEG, PNG, WebP and BMP.

    Args:
        path: Path of the file.
        max_block_bytes: Maximum size of a decoded block in bytes. GDAL decodes whole blocks.

    Returns:
        A `rasterio.DatasetReader`.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ImageError: If it is not such a raster, or its blocks are too large.
            `RotatedImageError` if its metadata contain a rotation.
        ImportError: If rasterio is not installed.
    """
    rasterio = import_rasterio()
    # GDAL has names that are not files. An absolute path is a file except for these.
    absolute = path.absolute()
    if "\0" in str(path) or str(absolute).startswith("/vsi") or absolute.is_dir():
        raise ImageError(f"{path} is not a file")
    if not absolute.is_file():
        raise FileNotFoundError(f"there is no image at {path}")
    with gdal_errors(path.name):
        driver = _choose_driver(absolute)
        dataset = rasterio.open(absolute, driver=driver, sharing=False)
    try:
        if dataset.count < 1:
            raise ImageError(f"{path.name} has no bands")
        _check_blocks(dataset, path.name, max_block_bytes)
    except BaseException:
        dataset.close()
        raise
    return dataset


def import_rasterio() -> Any:
    """Return the module rasterio, which is an optional dependency.

    Raises:
        ImportError: If rasterio is not installed.
    """
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            "GeoTIFF and JPEG 2000 need rasterio: pip install 'keras-sam[geo]'"
        ) from error
    return rasterio


@contextmanager
def gdal_errors(name: str) -> Iterator[None]:
    """Set GDAL's options, raise its errors as `ImageError` and ignore its warnings.

    Args:
        name: Name of the file, for the error message.
    """
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with warnings.catch_warnings(), rasterio.Env(**GDAL_OPTIONS):
            warnings.simplefilter("ignore")
            yield
    except (RasterioError, OSError) as error:
        raise ImageError(f"{name} cannot be read as a raster: {error}") from error


def _choose_driver(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(16)
    driver = next((DRIVERS[magic] for magic in DRIVERS if start.startswith(magic)), None)
    if driver is None:
        raise ImageError(f"{path.name} is not a TIFF, JPEG 2000, JPEG, PNG, WebP or BMP file")
    if driver != "JP2OpenJPEG" and (orientation := read_orientation(path)) != 1:
        raise RotatedImageError(
            f"{path.name} has EXIF orientation {orientation}, which cannot be applied to parts of "
            "an image; save it upright"
        )
    return driver


def _check_blocks(dataset: Any, name: str, max_bytes: int) -> None:
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    bands_per_block = dataset.count if structure.get("INTERLEAVE") == "PIXEL" else 1
    blocks = zip(dataset.block_shapes, dataset.dtypes, strict=True)
    size = max(height * width * _item_bytes(dtype) for (height, width), dtype in blocks)
    if size * bands_per_block > max_bytes:
        raise ImageError(
            f"{name} is stored in blocks of {size * bands_per_block} bytes, more than the "
            f"{max_bytes} allowed; store it in tiles with gdal_translate -co TILED=YES"
        )


def _item_bytes(dtype: str) -> int:
    # NumPy has no complex integers, which GDAL has.
    return 8 if dtype.startswith("complex_int") else np.dtype(dtype).itemsize
