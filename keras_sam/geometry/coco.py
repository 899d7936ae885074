"""`read_coco`: images with their masks, from COCO annotations."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from keras_sam.geometry.masks import coco_rle_to_mask


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
        """Decodes the mask `(H, W)`.

        Raises:
            ValueError: if the segmentation is malformed or of another size than the image.
        """
        try:
            if isinstance(self.segmentation, dict):
                return _rle_mask(self.segmentation, self.size)
            return _polygon_mask(self.segmentation, self.size)
        except (ValueError, TypeError, OverflowError) as error:
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


def read_coco(path: str | Path) -> CocoDataset:
    """Reads COCO annotations; masks are decoded when asked for.

    Args:
        path: the JSON file.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is not a COCO file, or a file name leads out of the folder of images.
    """
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
        _check_file_name(record["file_name"])
        if record["id"] in sizes:
            raise ValueError(f"{path.name} has two images with id {record['id']}")
        sizes[record["id"]] = _size(record)
    found: dict[int, list[CocoAnnotation]] = {number: [] for number in sizes}
    for record in content["annotations"]:
        _require(record, ("id", "image_id", "segmentation"), f"an annotation of {path.name}")
        number = record["image_id"]
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
    if list(rle.get("size", ())) != list(size):
        raise ValueError(f"its mask has size {rle.get('size')}, its image {list(size)}")
    return coco_rle_to_mask(rle)


def _polygon_mask(polygons: Any, size: tuple[int, int]) -> np.ndarray:
    if not isinstance(polygons, list) or not polygons:
        raise ValueError("a segmentation is an RLE or a list of polygons")
    height, width = size
    outlines = []
    for polygon in polygons:
        outline = np.asarray(polygon, np.float64)
        if outline.ndim != 1 or len(outline) < 6 or len(outline) % 2:
            raise ValueError("a polygon is a list x0, y0, x1, y1, ... of three points or more")
        if not np.isfinite(outline).all():
            raise ValueError("a polygon must be finite")
        # Far corners would make the rasteriser walk, and count, without end.
        corners = np.clip(outline.reshape(-1, 2), -1, (width + 1, height + 1))
        outlines.append(corners.ravel().tolist())
    runs = coco_mask.frPyObjects(outlines, height, width)
    return coco_mask.decode(coco_mask.merge(runs)).astype(bool)


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


def _size(record: dict[str, Any]) -> tuple[int, int]:
    size = record["height"], record["width"]
    if not all(isinstance(side, int) and 0 < side <= 100_000 for side in size):
        raise ValueError(f"image {record['id']} has height and width {size}")
    return size
