"""`open_image`: a reader for an image or a raster of any size."""

import importlib.util
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from keras_sam.errors import RotatedImageError, TooManyPixelsError
from keras_sam.images.image_reader import ArrayReader, ImageReader
from keras_sam.images.open_raster import JPEG_2000, TIFF
from keras_sam.images.raster_reader import RasterReader
from keras_sam.images.read_image import MAX_PIXELS, read_image


def open_image(
    source: str | Path | bytes | IO[bytes] | Image.Image | np.ndarray,
    *,
    bands: Sequence[int] | None = None,
    value_range: tuple[float, float] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageReader:
    """Open an image or a raster, to read it box by box.

    The reader depends on the source:

    - TIFF and JPEG 2000 files: `RasterReader`, through rasterio. It decodes only what a box
      needs, so files may be of any size.
    - Other image files: `ArrayReader` of the whole image, decoded by `read_image`. This includes
      TIFF files with a rotation in their metadata, and all TIFF files without rasterio.
    - Image files of more than `max_pixels`: `RasterReader`, if rasterio is installed.
    - Arrays and other sources: `ArrayReader`. An array `(H, W, 3)` uint8 is not copied, so a
      large one can be a `numpy.memmap`.

    Args:
        source: Image as accepted by `read_image`.
        bands: Indices of one or three bands from 1, as in `RasterReader`. Only for files.
        value_range: Values `(low, high)` that become 0 and 255, as in `RasterReader`. Only for
            files.
        max_pixels: Maximum number of pixels of an image that is decoded as a whole.

    Returns:
        A reader. It is a context manager that closes the file.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ImageError: If the file is not an image, is damaged, or is too large to be decoded as a
            whole.
        ImportError: If the file or an option needs rasterio, and it is not installed.
        TypeError: If `source` has another type.
        ValueError: If an option is invalid, or is given for a source that is not a file.
    """
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source), bands, value_range, max_pixels)
    if bands is not None or value_range is not None:
        raise ValueError("bands and value_range are only for files given by their path")
    is_pixels = isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3
    if is_pixels and source.shape[2] == 3 and source.size:  # type: ignore[union-attr]
        return ArrayReader(source)  # type: ignore[arg-type]
    return ArrayReader(read_image(source, max_pixels=max_pixels))


def _open_path(
    path: Path,
    bands: Sequence[int] | None,
    value_range: tuple[float, float] | None,
    max_pixels: int,
) -> ImageReader:
    has_rasterio = importlib.util.find_spec("rasterio") is not None
    start = _first_bytes(path)
    if start.startswith(JPEG_2000) or bands is not None or value_range is not None:
        return RasterReader(path, bands=bands, value_range=value_range)
    if has_rasterio and start.startswith(TIFF):
        with suppress(RotatedImageError):
            return RasterReader(path)
    try:
        return ArrayReader(read_image(path, max_pixels=max_pixels), path=path)
    except TooManyPixelsError:
        if not has_rasterio:
            raise
    return RasterReader(path)


def _first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, or none if it cannot be read. `read_image` then raises."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except (OSError, ValueError):
        return b""
