"""`RasterReader`: a GeoTIFF or another raster file that is read in boxes, through rasterio."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from keras_sam.errors import ImageError
from keras_sam.images.georeference import Georeference
from keras_sam.images.image_reader import ImageReader, check_box_in_image
from keras_sam.images.open_raster import gdal_errors, open_raster
from keras_sam.types import Box, Size

MAX_BLOCK_BYTES = 2**30
SAMPLE_SIDE = 1024  # pixels of the longer side of the sample
PERCENTILES = (2.0, 98.0)  # the default contrast enhancement of QGIS
WHITE = np.uint8(255)


@final
class RasterReader(ImageReader):
    """Reader of a raster file that decodes only the blocks a box needs.

    Without `bands`, the bands named red, green and blue are shown. A file without them shows its
    first three bands, or its first band in gray or through its color table. 8-bit bands are used
    unchanged. Other bands are scaled linearly to 0..255, with a single `value_range` for all
    bands and boxes, so that adjacent boxes match. Pixels without data (nodata value, mask,
    transparency, NaN) become white, as in `read_image`.

    Only local files are opened, by the drivers for GeoTIFF, JPEG 2000, JPEG, PNG, WebP and BMP.
    JPEG and PNG have no blocks: each box is decoded from the last line that was read, or from the
    start of the file. GDAL caches up to 256 MiB of blocks in the process.

    Args:
        path: Path of the file.
        bands: Indices of one or three bands, from 1. Defaults to the bands described above.
        value_range: Values `(low, high)` that become 0 and 255, also in 8-bit bands. Defaults to
            the 2nd and the 98th percentile of a sample of at most 1024 pixels per side.
        max_block_bytes: Maximum size of a decoded block in bytes. A compressed TIFF of a single
            strip, for example, is one block.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ImageError: If it is not such a raster, or its blocks are too large.
            `RotatedImageError` if its metadata contain a rotation, which `read_image` applies.
        ImportError: If rasterio is not installed.
        ValueError: If `bands` or `value_range` is invalid.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        bands: Sequence[int] | None = None,
        value_range: tuple[float, float] | None = None,
        max_block_bytes: int = MAX_BLOCK_BYTES,
    ) -> None:
        if value_range is not None and not -math.inf < value_range[0] < value_range[1] < math.inf:
            raise ValueError(f"value_range must be (low, high) with low < high, got {value_range}")
        self.path = Path(path)
        self._dataset = open_raster(self.path, max_block_bytes=max_block_bytes)
        try:
            self.bands = _choose_bands(self._dataset, bands, self.path.name)
            self._color_table = _read_color_table(self._dataset, self.bands)
        except BaseException:
            self.close()
            raise
        self._value_range = value_range
        # GDAL does not invert images in which 0 is white.
        tags = self._dataset.tags(ns="IMAGE_STRUCTURE")
        self._is_inverted = tags.get("MINISWHITE") == "YES" and self._color_table is None

    @property
    def size(self) -> Size:
        """`(height, width)` of the image."""
        return int(self._dataset.height), int(self._dataset.width)

    @cached_property
    def georeference(self) -> Georeference | None:
        """Map coordinates of the pixels, or None if they are unknown.

        Its `crs` is None if the coordinate reference system has no code of an authority.

        Raises:
            ValueError: If the georeference is malformed.
        """
        transform = self._dataset.transform
        if transform.is_identity:
            return None
        code = self._dataset.crs.to_authority() if self._dataset.crs else None
        return Georeference(tuple(transform)[:6], None if code is None else ":".join(code))

    @cached_property
    def value_range(self) -> tuple[float, float] | None:
        """Values `(low, high)` that become 0 and 255, or None if 8-bit bands are not scaled."""
        if self._value_range is not None:
            return self._value_range
        if self._color_table is not None:
            return None
        band = self.bands[0]
        if self._dataset.dtypes[band - 1] == "uint8":
            bits = int(self._dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", 8))
            return None if bits == 8 else (0.0, 2.0**bits - 1)
        return self._sample_range()

    def read(self, box: Box) -> np.ndarray:
        """Read the pixels `(y1 - y0, x1 - x0, 3)` uint8 RGB of an XYXY box.

        Raises:
            ImageError: If the file is damaged.
            ValueError: If the box is empty or extends beyond the image.
        """
        window = self._window(box)
        with gdal_errors(self.path.name):
            values = self._dataset.read(self.bands, window=window)
            alpha = self._read_alpha(values, window=window)
        color = self._to_color(values)
        if alpha is not None:
            opacity = alpha[..., None] / np.float32(255)
            color = np.round(color * opacity + WHITE * (1 - opacity)).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(color, (*color.shape[:2], 3)))

    def is_nodata(self, box: Box) -> bool:
        """Return True if no pixel of an XYXY box has data.

        Raises:
            ImageError: If the file is damaged.
            ValueError: If the box is empty or extends beyond the image.
        """
        window = self._window(box)
        if self._is_all_valid():
            return False
        with gdal_errors(self.path.name):
            return not self._dataset.dataset_mask(window=window).any()

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def _window(self, box: Box) -> Any:
        from rasterio.windows import Window

        x0, y0, x1, y1 = check_box_in_image(box, self.size)
        return Window(x0, y0, x1 - x0, y1 - y0)

    def _to_color(self, values: np.ndarray) -> np.ndarray:
        """Convert values `(C, h, w)` to gray `(h, w, 1)` or RGB `(h, w, 3)` uint8."""
        if self._color_table is not None:
            return self._color_table[values[0]]
        values = np.moveaxis(values, 0, -1)
        if self.value_range is not None:
            values = _scale_to_uint8(values, *self.value_range)
        return WHITE - values if self._is_inverted else values

    def _read_alpha(self, values: np.ndarray, **area: Any) -> np.ndarray | None:
        """Return the alpha channel `(h, w)` uint8 of values `(C, h, w)`, None if all have data."""
        alpha = None if self._is_all_valid() else self._dataset.dataset_mask(**area)
        if values.dtype.kind == "f":
            is_finite = np.isfinite(values).all(axis=0)
            alpha = np.where(is_finite, 255 if alpha is None else alpha, 0)
        return alpha

    def _is_all_valid(self) -> bool:
        flags = self._dataset.mask_flag_enums
        return all(len(flag) == 1 and flag[0].name == "all_valid" for flag in flags)

    def _sample_range(self) -> tuple[float, float]:
        """Return percentiles of every n-th pixel, or of an overview if the file has one."""
        height, width = self.size
        step = max(1, -(-max(height, width) // SAMPLE_SIDE))
        shape = (-(-height // step), -(-width // step))
        with gdal_errors(self.path.name):
            values = self._dataset.read(self.bands, out_shape=(len(self.bands), *shape))
            alpha = self._read_alpha(values, out_shape=shape)
        valid = values.ravel() if alpha is None else values[:, alpha > 0].ravel()
        if not valid.size:
            return 0.0, 1.0
        low, high = (float(value) for value in np.percentile(valid, PERCENTILES))
        if low == high:
            low, high = float(valid.min()), float(valid.max())
        return low, high if high > low else low + 1.0


def _choose_bands(dataset: Any, bands: Sequence[int] | None, name: str) -> list[int]:
    colors = [color.name for color in dataset.colorinterp]
    if bands is None:
        rgb = [colors.index(color) + 1 for color in ("red", "green", "blue") if color in colors]
        opaque = [band for band, color in enumerate(colors, 1) if color != "alpha"]
        bands = rgb if len(rgb) == 3 else opaque[:3] if len(opaque) >= 3 else opaque[:1] or [1]
    chosen = [int(band) for band in bands]
    if len(chosen) not in (1, 3) or not all(1 <= band <= dataset.count for band in chosen):
        raise ValueError(
            f"bands must be one or three indices from 1 to {dataset.count}, got {list(bands)}"
        )
    dtypes = {dataset.dtypes[band - 1] for band in chosen}
    if len(dtypes) > 1 or any(dtype.startswith("complex") for dtype in dtypes):
        raise ImageError(f"the bands of {name} must have one real dtype, got {sorted(dtypes)}")
    return chosen


def _read_color_table(dataset: Any, bands: list[int]) -> np.ndarray | None:
    """Return the colors `(256, 3)` uint8 of a single band with a color table, or None."""
    is_indexed = dataset.colorinterp[bands[0] - 1].name == "palette"
    if len(bands) > 1 or not is_indexed or dataset.dtypes[bands[0] - 1] != "uint8":
        return None
    table = np.zeros((256, 3), np.uint8)
    for index, color in dataset.colormap(bands[0]).items():
        table[index] = color[:3]
    return table


def _scale_to_uint8(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale values linearly to uint8, from 0 at the low value to 255 at the high one."""
    finite = np.nan_to_num(values.astype(np.float64), posinf=high, neginf=low)
    scaled: np.ndarray = np.round((np.clip(finite, low, high) - low) * (255 / (high - low)))
    return scaled.astype(np.uint8)
