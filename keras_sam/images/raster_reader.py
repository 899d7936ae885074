"""`RasterReader`: windows of a GeoTIFF and other rasters, through rasterio."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from keras_sam.images.georeference import Georeference
from keras_sam.images.image_reader import Box, ImageReader, check_window
from keras_sam.images.read_image import ImageError, read_orientation

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # and BigTIFF
JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ")
# GDAL's driver for a file that begins so. It has a hundred more, some of which follow links.
DRIVERS = {
    **dict.fromkeys(TIFF, "GTiff"),
    **dict.fromkeys(JPEG_2000, "JP2OpenJPEG"),
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"RIFF": "WEBP",
    b"BM": "BMP",
}
GDAL_OPTIONS = {
    # A file's own metadata may send GDAL to other files for overviews: none of the network's.
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_CACHEMAX": 2**28,  # bytes of blocks that are kept; else a twentieth of the memory
}
MAX_BLOCK_BYTES = 2**30  # GDAL decodes a block whole
SAMPLED = 1024  # pixels of the longer side of the sample whose range is stretched
PERCENTILES = (2.0, 98.0)  # as QGIS stretches by default
WHITE = np.uint8(255)


class RotatedImageError(ImageError):
    """A picture that its camera turned, which GDAL does not heed."""


@final
class RasterReader(ImageReader):
    """Windows of a raster file; no more of it is decoded than its blocks that a window meets.

    Of its bands those that are called red, green and blue are shown, else the first three, else
    the first, in gray or by its palette. Bands of 8 bits are taken as they are. All others are
    stretched linearly by one range for the whole image and all bands, so that no seam is seen:
    from the 2nd to the 98th percentile of a sample, every n-th pixel or an overview of at most
    1024 pixels along the longer side. Pixels without data (nodata, a mask, transparency, NaN) are
    white, as `read_image` lays transparency over white.

    Only files on this machine are opened, by the drivers of GeoTIFF, JPEG 2000, JPEG, PNG, WebP and
    BMP. JPEG and PNG have no blocks: each window is decoded from the last line that was read, or
    from the file's beginning. GDAL keeps up to 256 MiB of blocks, in all the process.

    Args:
        path: the file.
        bands: numbers of one band or three, from 1, in place of those above; of the infrared, say.
        stretch: `(low, high)`, the values that become 0 and 255, in place of those above; bands of
            8 bits are stretched too, then.
        max_block_bytes: files in larger blocks are refused, such as a compressed TIFF of one strip.

    Raises:
        FileNotFoundError: if the file is missing.
        ImageError: if it is not such a raster, or its blocks are too large. `RotatedImageError` if
            a camera turned it: `read_image` heeds that.
        ImportError: if rasterio is missing.
        ValueError: if a band or the stretch is senseless.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        bands: Sequence[int] | None = None,
        stretch: tuple[float, float] | None = None,
        max_block_bytes: int = MAX_BLOCK_BYTES,
    ) -> None:
        if stretch is not None and not -math.inf < stretch[0] < stretch[1] < math.inf:
            raise ValueError(f"stretch must be (low, high) with low < high, got {stretch}")
        self.path = Path(path)
        self._dataset = _open(self.path)
        try:
            _check_blocks(self._dataset, self.path.name, max_block_bytes)
            self.bands = _choose_bands(self._dataset, bands, self.path.name)
            self._palette = _palette(self._dataset, self.bands)
        except BaseException:
            self.close()
            raise
        self._stretch = stretch
        # GDAL leaves it to its user to turn such a picture round.
        tags = self._dataset.tags(ns="IMAGE_STRUCTURE")
        self._is_negative = tags.get("MINISWHITE") == "YES" and self._palette is None

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the image."""
        return int(self._dataset.height), int(self._dataset.width)

    @cached_property
    def georeference(self) -> Georeference | None:
        """From pixels to the map; a reference system without an authority's code has no name.

        Raises:
            ValueError: if it is malformed.
        """
        transform = self._dataset.transform
        if transform.is_identity:
            return None
        code = self._dataset.crs.to_authority() if self._dataset.crs else None
        return Georeference(tuple(transform)[:6], None if code is None else ":".join(code))

    @cached_property
    def stretch(self) -> tuple[float, float] | None:
        """The values that become 0 and 255; None where bands of 8 bits are taken as they are."""
        if self._stretch is not None:
            return self._stretch
        if self._palette is not None:
            return None
        band = self.bands[0]
        if self._dataset.dtypes[band - 1] == "uint8":
            bits = int(self._dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", 8))
            return None if bits == 8 else (0.0, 2.0**bits - 1)
        return self._sampled_range()

    def read(self, box: Box) -> np.ndarray:
        """The pixels `(y1 - y0, x1 - x0, 3)` uint8 of a box XYXY.

        Raises:
            ImageError: if the file is damaged.
            ValueError: if the box is empty or leaves the image.
        """
        window = _window(check_window(box, self.size))
        with _damage(self.path.name):
            values = self._dataset.read(self.bands, window=window)
            opacity = self._opacity(values, window=window)
        color = self._color(values)
        if opacity is not None:
            share = opacity[..., None] / np.float32(255)
            color = np.round(color * share + WHITE * (1 - share)).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(color, (*color.shape[:2], 3)))

    def is_nodata(self, box: Box) -> bool:
        """Whether no pixel of a box XYXY has data.

        Raises:
            ImageError: if the file is damaged.
        """
        if self._is_all_valid():
            return False
        window = _window(check_window(box, self.size))
        with _damage(self.path.name):
            return not self._dataset.dataset_mask(window=window).any()

    def close(self) -> None:
        """Closes the file."""
        self._dataset.close()

    def _color(self, values: np.ndarray) -> np.ndarray:
        """Values `(C, h, w)` as `(h, w, C or 3)` uint8."""
        if self._palette is not None:
            return self._palette[values[0]]
        values = np.moveaxis(values, 0, -1)
        if self.stretch is not None:
            values = _stretched(values, *self.stretch)
        return WHITE - values if self._is_negative else values

    def _opacity(self, values: np.ndarray, **where: Any) -> np.ndarray | None:
        """`(h, w)` uint8 of pixels read with these options; None where all have data."""
        opacity = None if self._is_all_valid() else self._dataset.dataset_mask(**where)
        if values.dtype.kind == "f":
            is_finite = np.isfinite(values).all(axis=0)
            opacity = np.where(is_finite, 255 if opacity is None else opacity, 0)
        return opacity

    def _is_all_valid(self) -> bool:
        flags = self._dataset.mask_flag_enums
        return all(len(flag) == 1 and flag[0].name == "all_valid" for flag in flags)

    def _sampled_range(self) -> tuple[float, float]:
        height, width = self.size
        step = max(1, -(-max(height, width) // SAMPLED))
        shape = (-(-height // step), -(-width // step))
        with _damage(self.path.name):
            values = self._dataset.read(self.bands, out_shape=(len(self.bands), *shape))
            opacity = self._opacity(values, out_shape=shape)
        known = values.ravel() if opacity is None else values[:, opacity > 0].ravel()
        if not known.size:
            return 0.0, 1.0
        low, high = (float(value) for value in np.percentile(known, PERCENTILES))
        if low == high:
            low, high = float(known.min()), float(known.max())
        return low, high if high > low else low + 1.0


def import_rasterio() -> Any:
    """The module, which is an extra.

    Raises:
        ImportError: if it is missing.
    """
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            "GeoTIFF and JPEG 2000 need rasterio: pip install 'keras-sam[geo]'"
        ) from error
    return rasterio


def _open(path: Path) -> Any:
    rasterio = import_rasterio()
    # GDAL takes some names for something else than a file; an absolute path is one but for these.
    absolute = path.absolute()
    if "\0" in str(path) or str(absolute).startswith("/vsi") or absolute.is_dir():
        raise ImageError(f"{path} is not a file")
    if not absolute.is_file():
        raise FileNotFoundError(f"there is no image at {path}")
    with _damage(path.name):
        with absolute.open("rb") as file:
            start = file.read(16)
        driver = next((DRIVERS[magic] for magic in DRIVERS if start.startswith(magic)), None)
        if driver is None:
            raise ImageError(f"{path.name} is not a TIFF, JPEG 2000, JPEG, PNG, WebP or BMP file")
        if driver != "JP2OpenJPEG" and (turned := read_orientation(absolute)) != 1:
            raise RotatedImageError(f"{path.name} is turned by its camera (orientation {turned})")
        dataset = rasterio.open(absolute, driver=driver, sharing=False)
    if dataset.count < 1:
        dataset.close()
        raise ImageError(f"{path.name} holds no bands")
    return dataset


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Under GDAL's options, with its errors as ours and its remarks on metadata left out."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with warnings.catch_warnings(), rasterio.Env(**GDAL_OPTIONS):
            warnings.simplefilter("ignore")
            yield
    except (RasterioError, OSError) as error:
        raise ImageError(f"{name} cannot be read as a raster: {error}") from error


def _window(box: Box) -> Any:
    from rasterio.windows import Window

    x0, y0, x1, y1 = box
    return Window(x0, y0, x1 - x0, y1 - y0)


def _check_blocks(dataset: Any, name: str, most: int) -> None:
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    together = dataset.count if structure.get("INTERLEAVE") == "PIXEL" else 1
    sizes = zip(dataset.block_shapes, dataset.dtypes, strict=True)
    needed = max(height * width * _item_bytes(dtype) for (height, width), dtype in sizes) * together
    if needed > most:
        raise ImageError(
            f"{name} is stored in blocks of {needed} bytes, more than the {most} allowed; "
            "gdal_translate -co TILED=YES writes it in small ones"
        )


def _item_bytes(dtype: str) -> int:
    return 8 if dtype.startswith("complex_int") else np.dtype(dtype).itemsize


def _choose_bands(dataset: Any, bands: Sequence[int] | None, name: str) -> list[int]:
    colors = [color.name for color in dataset.colorinterp]
    if bands is None:
        named = [colors.index(color) + 1 for color in ("red", "green", "blue") if color in colors]
        shown = [number for number, color in enumerate(colors, 1) if color != "alpha"]
        bands = named if len(named) == 3 else shown[:3] if len(shown) >= 3 else shown[:1] or [1]
    chosen = [int(band) for band in bands]
    if len(chosen) not in (1, 3) or not all(1 <= band <= dataset.count for band in chosen):
        raise ValueError(f"bands must be one or three of 1 to {dataset.count}, got {list(bands)}")
    kinds = {dataset.dtypes[band - 1] for band in chosen}
    if len(kinds) > 1 or any(kind.startswith("complex") for kind in kinds):
        raise ImageError(f"the bands of {name} must hold one kind of numbers, got {sorted(kinds)}")
    return chosen


def _palette(dataset: Any, bands: list[int]) -> np.ndarray | None:
    """The colors `(256, 3)` uint8 of a single band with a palette."""
    is_indexed = dataset.colorinterp[bands[0] - 1].name == "palette"
    if len(bands) > 1 or not is_indexed or dataset.dtypes[bands[0] - 1] != "uint8":
        return None
    palette = np.zeros((256, 3), np.uint8)
    for index, color in dataset.colormap(bands[0]).items():
        palette[index] = color[:3]
    return palette


def _stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """As uint8, 0 at the low value and 255 at the high one."""
    finite = np.nan_to_num(values.astype(np.float64), posinf=high, neginf=low)
    scaled: np.ndarray = np.round((np.clip(finite, low, high) - low) * (255 / (high - low)))
    return scaled.astype(np.uint8)
