"""`open_image`: any picture or raster as windows."""

import importlib.util
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from keras_sam.images.image_reader import ArrayReader, ImageReader
from keras_sam.images.raster_reader import JPEG_2000, TIFF, RasterReader, RotatedImageError
from keras_sam.images.read_image import MAX_PIXELS, TooManyPixelsError, read_image


def open_image(
    source: str | Path | bytes | IO[bytes] | Image.Image | np.ndarray,
    *,
    bands: Sequence[int] | None = None,
    stretch: tuple[float, float] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageReader:
    """Opens a picture or a raster, to be read a window at a time.

    TIFF and JPEG 2000 files are opened by `RasterReader`, through rasterio: of a file of any size
    only what a window needs is decoded. All else is a picture, which `read_image` decodes once; so
    is a TIFF where rasterio is missing, or that a camera turned. A picture of more than
    `max_pixels` is read in windows too where rasterio is there. Arrays `(H, W, 3)` of uint8 are
    never copied, so that `numpy.memmap` maps a large one.

    Args:
        source: what `read_image` takes.
        bands: as `RasterReader`, for files alone.
        stretch: as `RasterReader`, for files alone.
        max_pixels: of a picture that is decoded at once.

    Raises:
        FileNotFoundError: if the path is missing.
        ImageError: if it is no such image, is damaged, or too large to be decoded at once.
        ImportError: if the file or an option needs rasterio, which is missing.
        TypeError: if `source` is none of these.
        ValueError: if an option is senseless, or is given for what is no file.
    """
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source), bands, stretch, max_pixels)
    if bands is not None or stretch is not None:
        raise ValueError("bands and stretch are for files alone")
    is_rgb = isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3
    if is_rgb and source.shape[2] == 3 and source.size:  # type: ignore[union-attr]
        return ArrayReader(source)  # type: ignore[arg-type]
    return ArrayReader(read_image(source, max_pixels=max_pixels))


def _open_path(
    path: Path,
    bands: Sequence[int] | None,
    stretch: tuple[float, float] | None,
    max_pixels: int,
) -> ImageReader:
    has_rasterio = importlib.util.find_spec("rasterio") is not None
    start = _start(path)
    needs_rasterio = start.startswith(JPEG_2000) or bands is not None or stretch is not None
    if needs_rasterio:
        return RasterReader(path, bands=bands, stretch=stretch)
    if has_rasterio and start.startswith(TIFF):
        with suppress(RotatedImageError):
            return RasterReader(path)
    try:
        return ArrayReader(read_image(path, max_pixels=max_pixels), path=path)
    except TooManyPixelsError:
        if not has_rasterio:
            raise
    return RasterReader(path)


def _start(path: Path) -> bytes:
    """The first bytes of a file; none where `read_image` is to say what is wrong."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except (OSError, ValueError):
        return b""
