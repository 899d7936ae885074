"""`read_coco`: images with their masks, from COCO annotations."""

import json
import os
import reprlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from keras_sam.geometry.is_size import is_size
from keras_sam.geometry.masks import coco_rle_to_mask
from keras_sam.geometry.polygons_to_mask import polygons_to_mask
from keras_sam.geometry.read_image import MAX_PIXELS


@dataclass(frozen=True)
class CocoAnnotation:
    """One mask of an image.

    Attributes:
        id: number of the annotation.
        size: `(height, width)` of the image.
        segmentation: RLE or polygons, as in the file.
    """

    id: int
    size: tuple[int, int]
    segmentation: Any = field(repr=False)

    def mask(self) -> np.ndarray:
        """Decodes the mask `(H, W)`; polygons are cut off at the image's border.

        Raises:
            ValueError: if the segmentation is malformed or of another size than the image.
        """
        try:
            if isinstance(self.segmentation, dict):
                return _rle_mask(self.segmentation, self.size)
            return polygons_to_mask(_outlines(self.segmentation), self.size)
        except ValueError as error:
            raise ValueError(f"annotation {self.id}: {error}") from error


@dataclass(frozen=True)
class CocoImage:
    """One image and its annotations.

    Attributes:
        id: number of the image.
        file_name: its path below the folder of images.
        size: `(height, width)`.
        annotations: its masks.
    """

    id: int
    file_name: str
    size: tuple[int, int]
    annotations: tuple[CocoAnnotation, ...] = ()


@dataclass(frozen=True)
class CocoDataset:
    """Images with their masks, in the order of the file.

    Attributes:
        images: the images.
    """

    images: tuple[CocoImage, ...]


def read_coco(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> CocoDataset:
    """Reads COCO annotations; masks are decoded when asked for.

    Args:
        path: the JSON file.
        max_pixels: larger images are refused, as by `read_image`.

    Raises:
        FileNotFoundError: if the file is missing.
        TypeError: if `path` is no path.
        ValueError: if it is not a COCO file, or a file name leads out of the folder of images.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a Path, got {type(path).__name__}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there are no annotations at {path}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise ValueError(f"{path.name} is not a COCO file: it lacks 'images' or 'annotations'")
    sizes: dict[int, tuple[int, int]] = {}
    for record in content["images"]:
        _require(record, ("id", "file_name", "height", "width"), f"an image of {path.name}")
        _check_id(record["id"], f"the id of an image of {path.name}")
        _check_file_name(record["file_name"])
        if record["id"] in sizes:
            raise ValueError(f"{path.name} has two images with id {record['id']}")
        sizes[record["id"]] = _size(record, max_pixels)
    found: dict[int, list[CocoAnnotation]] = {number: [] for number in sizes}
    for record in content["annotations"]:
        _require(record, ("id", "image_id", "segmentation"), f"an annotation of {path.name}")
        number = record["image_id"]
        _check_id(record["id"], f"the id of an annotation of {path.name}")
        _check_id(number, f"the image_id of annotation {record['id']}")
        if number not in sizes:
            raise ValueError(f"annotation {record['id']} is of image {number}, which is missing")
        found[number].append(CocoAnnotation(record["id"], sizes[number], record["segmentation"]))
    return CocoDataset(
        tuple(
            CocoImage(
                record["id"], record["file_name"], sizes[record["id"]], tuple(found[record["id"]])
            )
            for record in content["images"]
        )
    )


def _rle_mask(rle: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    given: Any = rle.get("size")
    if not is_size(given) or tuple(given) != tuple(size):
        raise ValueError(
            f"its RLE must have the image's size {list(size)}, got {reprlib.repr(given)}"
        )
    return coco_rle_to_mask(rle)


def _outlines(polygons: Any) -> list[np.ndarray]:
    """Corners `(N, 2)` of each polygon."""
    if not isinstance(polygons, list) or not polygons:
        raise ValueError(
            f"a segmentation is an RLE or a list of polygons, got {reprlib.repr(polygons)}"
        )
    for polygon in polygons:
        if (
            not isinstance(polygon, list)
            or len(polygon) < 6
            or len(polygon) % 2
            or not all(_is_number(value) for value in polygon)
        ):
            raise ValueError(
                "a polygon is a list x0, y0, x1, y1, ... of three points or more, "
                f"got {reprlib.repr(polygon)}"
            )
    return [_to_floats(polygon).reshape(-1, 2) for polygon in polygons]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _to_floats(polygon: list[int | float]) -> np.ndarray:
    try:
        return np.array(polygon, np.float64)
    except OverflowError as error:
        raise ValueError("a polygon must be finite, got a number beyond float64") from error


def _check_id(number: Any, what: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"{what} must be a whole number, got {reprlib.repr(number)}")


def _check_file_name(name: Any) -> None:
    """Refuses what leads out of the folder of images, on any system."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(f"file_name must be a path, got {name!r}")
    for kind in (PurePosixPath, PureWindowsPath):
        parts = kind(name)
        if parts.is_absolute() or parts.drive or parts.root or ".." in parts.parts:
            raise ValueError(f"file_name must stay below the folder of images, got {name!r}")


def _require(record: Any, keys: tuple[str, ...], what: str) -> None:
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}")


def _size(record: dict[str, Any], max_pixels: int) -> tuple[int, int]:
    size = record["height"], record["width"]
    if not is_size(size):
        raise ValueError(
            f"image {record['id']} must have a height and width in whole pixels, "
            f"got {reprlib.repr(size)}"
        )
    if size[0] * size[1] > max_pixels:
        raise ValueError(
            f"image {record['id']} has {size[1]} x {size[0]} pixels, "
            f"more than the {max_pixels} allowed"
        )
    return size
