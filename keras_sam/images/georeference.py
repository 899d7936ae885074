"""`read_georeference`: where on the map the pixels of a picture lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.images.tiff_tags import read_tiff_tags

# Tags of TIFF, and keys in the directory of GeoTIFF (OGC 19-008r4).
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEY_DIRECTORY = 33550, 33922, 34264, 34735
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072
PIXEL_IS_POINT, USER_DEFINED = 2, 32767
WORLD_ENDINGS = {".tif": ".tfw", ".tiff": ".tfw", ".png": ".pgw", ".jpg": ".jgw", ".jpeg": ".jgw"}


@dataclass(frozen=True)
class Georeference:
    """From pixels to the map.

    Attributes:
        transform: `(a, b, c, d, e, f)` in the order of rasterio's `Affine`, from a pixel's edge
            (x, y) to the map: `a x + b y + c` and `d x + e y + f`. GDAL's order of the same
            numbers is `(c, a, b, f, d, e)`.
        crs: the coordinate reference system, such as `EPSG:32633`; None where it is unknown.
    """

    transform: tuple[float, float, float, float, float, float]
    crs: str | None = None

    def __post_init__(self) -> None:
        try:
            numbers = np.asarray(self.transform, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"transform must be six numbers, got {self.transform!r}") from error
        if numbers.shape != (6,) or not np.isfinite(numbers).all():
            raise ValueError(f"transform must be six finite numbers, got {self.transform!r}")
        a, b, _, d, e, _ = numbers
        if a * e == b * d:
            raise ValueError(f"transform must not flatten the picture, got {self.transform!r}")
        if self.crs is not None and (not isinstance(self.crs, str) or not self.crs):
            raise ValueError(f"crs must be a name such as EPSG:32633, got {self.crs!r}")

    def to_map(self, corners: np.ndarray) -> np.ndarray:
        """Map coordinates `(N, 2)`, float64, of pixels `(N, 2)` (x, y)."""
        a, b, c, d, e, f = self.transform
        x, y = np.asarray(corners, np.float64).T
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def read_georeference(path: str | Path) -> Georeference | None:
    """The georeference of a GeoTIFF, or of a picture with a world file beside it.

    A world file (`.tfw`, `.pgw`, `.jgw` or `.wld`) names no reference system. Ground control
    points and rotated tie points are not read.

    Returns:
        The georeference, or None where the picture has none.

    Raises:
        FileNotFoundError: if the picture is missing.
        ValueError: if its georeference is malformed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image at {path}")
    if path.suffix.lower() in (".tif", ".tiff"):
        tags = read_tiff_tags(path)
        transform = _tag_transform(tags, path.name)
        if transform is not None:
            return Georeference(transform, _crs(_keys(tags)))
    for ending in (WORLD_ENDINGS.get(path.suffix.lower(), ".wld"), ".wld"):
        world = path.with_suffix(ending)
        if world.is_file():
            return Georeference(_read_world(world))
    return None


def _tag_transform(tags: dict[int, Any], name: str) -> Any:
    """The transform from the edges of pixels, or None where the tags hold none."""
    matrix, scale, tie = (tags.get(tag) for tag in (TRANSFORMATION, PIXEL_SCALE, TIE_POINTS))
    if matrix is not None and len(matrix) == 16:
        a, b, c, d, e, f = (float(matrix[place]) for place in (0, 1, 3, 4, 5, 7))
    elif scale is not None and tie is not None and len(scale) >= 2 and len(tie) == 6:
        a, b, d, e = float(scale[0]), 0.0, 0.0, -float(scale[1])
        c, f = float(tie[3]) - a * float(tie[0]), float(tie[4]) - e * float(tie[1])
    elif matrix is not None or scale is not None:
        raise ValueError(f"the georeference of {name} is neither a matrix nor one tie point")
    else:
        return None
    if _keys(tags).get(RASTER_TYPE) == PIXEL_IS_POINT:  # there (0, 0) is the first pixel's center
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return a, b, c, d, e, f


def _keys(tags: dict[int, Any]) -> dict[int, int]:
    """The short values of GeoTIFF's directory: rows of a key, where it is, a count and a value."""
    rows = np.array(tags.get(KEY_DIRECTORY, ()), np.int64)
    rows = rows[: len(rows) // 4 * 4].reshape(-1, 4)[1:]
    return {int(key): int(value) for key, place, _, value in rows if place == 0}


def _crs(keys: dict[int, int]) -> str | None:
    code = keys.get(PROJECTED, keys.get(GEOGRAPHIC, USER_DEFINED))
    return None if code in (0, USER_DEFINED) else f"EPSG:{code}"


def _read_world(path: Path) -> Any:
    """Six lines: a, d, b, e, and the map coordinates of the first pixel's center."""
    try:
        a, d, b, e, x, y = (float(line) for line in path.read_text("ascii").split())
    except ValueError as error:
        raise ValueError(f"{path.name} must hold six numbers: {error}") from error
    return a, b, x - (a + b) / 2, d, e, y - (d + e) / 2
