"""`read_georeference`: the map coordinates of an image's pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.images.tiff_tags import read_tiff_tags

# TIFF tags, and keys and values in GeoTIFF's key directory (OGC 19-008r4).
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, KEY_DIRECTORY = 33550, 33922, 34264, 34735
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072
PIXEL_IS_POINT, USER_DEFINED = 2, 32767
WORLD_FILES = {".tif": ".tfw", ".tiff": ".tfw", ".png": ".pgw", ".jpg": ".jgw", ".jpeg": ".jgw"}

Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Georeference:
    """Affine transform from pixels to map coordinates.

    Attributes:
        transform: Coefficients `(a, b, c, d, e, f)` in the order of rasterio's `Affine`. A point
            (x, y) in pixels has the map coordinates `(a x + b y + c, d x + e y + f)`, where
            (0, 0) is the corner of the first pixel. GDAL's order is `(c, a, b, f, d, e)`.
        crs: Coordinate reference system, such as `EPSG:32633`, or None if it is unknown.
    """

    transform: Affine
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
            raise ValueError(f"transform must be invertible, got {self.transform!r}")
        if self.crs is not None and (not isinstance(self.crs, str) or not self.crs):
            raise ValueError(f"crs must be a name such as EPSG:32633, got {self.crs!r}")

    def to_map(self, points: np.ndarray) -> np.ndarray:
        """Transform points to map coordinates.

        Args:
            points: `(N, 2)` (x, y) in pixels. Whole numbers are edges between pixels.

        Returns:
            Map coordinates `(N, 2)` float64.
        """
        a, b, c, d, e, f = self.transform
        x, y = np.asarray(points, np.float64).T
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def read_georeference(path: str | Path) -> Georeference | None:
    """Read the georeference of a GeoTIFF, or of an image with a world file.

    A world file (`.tfw`, `.pgw`, `.jgw` or `.wld`) has the name of the image and contains no
    coordinate reference system. Ground control points and rotated tie points are not supported.

    Args:
        path: Path of the image.

    Returns:
        The georeference, or None if the image has none.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ValueError: If the georeference is malformed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image at {path}")
    if path.suffix.lower() in (".tif", ".tiff"):
        tags = read_tiff_tags(path)
        keys = _geo_keys(tags)
        transform = _tags_to_transform(tags, keys, path.name)
        if transform is not None:
            return Georeference(transform, _keys_to_crs(keys))
    for suffix in (WORLD_FILES.get(path.suffix.lower(), ".wld"), ".wld"):
        world_file = path.with_suffix(suffix)
        if world_file.is_file():
            return Georeference(_read_world_file(world_file))
    return None


def _geo_keys(tags: dict[int, Any]) -> dict[int, int]:
    """Return the integer values in GeoTIFF's key directory.

    After a header, its rows are a key, the tag that stores the value, a count and the value. The
    tag is 0 if the value is an integer in the row itself.
    """
    rows = np.array(tags.get(KEY_DIRECTORY, ()), np.int64)
    rows = rows[: len(rows) // 4 * 4].reshape(-1, 4)[1:]
    return {int(key): int(value) for key, tag, _, value in rows if tag == 0}


def _tags_to_transform(tags: dict[int, Any], keys: dict[int, int], name: str) -> Affine | None:
    """Return the transform from the corner of the first pixel, or None if there are no tags."""
    matrix, scale, tie = (tags.get(tag) for tag in (TRANSFORMATION, PIXEL_SCALE, TIE_POINTS))
    if matrix is not None and len(matrix) == 16:
        a, b, c, d, e, f = (float(matrix[index]) for index in (0, 1, 3, 4, 5, 7))
    elif scale is not None and tie is not None and len(scale) >= 2 and len(tie) == 6:
        a, b, d, e = float(scale[0]), 0.0, 0.0, -float(scale[1])
        c, f = float(tie[3]) - a * float(tie[0]), float(tie[4]) - e * float(tie[1])
    elif matrix is not None or scale is not None:
        raise ValueError(
            f"the georeference of {name} must be a matrix of 16 numbers, or a pixel scale and one "
            "tie point"
        )
    else:
        return None
    if keys.get(RASTER_TYPE) == PIXEL_IS_POINT:  # (0, 0) is the center of the first pixel
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return a, b, c, d, e, f


def _keys_to_crs(keys: dict[int, int]) -> str | None:
    code = keys.get(PROJECTED, keys.get(GEOGRAPHIC, USER_DEFINED))
    return None if code in (0, USER_DEFINED) else f"EPSG:{code}"


def _read_world_file(path: Path) -> Affine:
    """Read the lines a, d, b, e, and the map coordinates of the center of the first pixel."""
    try:
        a, d, b, e, x, y = (float(line) for line in path.read_text("ascii").split())
    except ValueError as error:
        raise ValueError(f"{path.name} must contain six numbers: {error}") from error
    return a, b, x - (a + b) / 2, d, e, y - (d + e) / 2
