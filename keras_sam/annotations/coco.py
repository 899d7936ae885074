"""`read_coco`: images with their masks, from COCO annotations."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from keras_sam.annotations.record import CATEGORY, MaskRecord, mask_to_record, record_scores
from keras_sam.files.json_file import read_json
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.masks.polygons_to_mask import polygons_to_mask
from keras_sam.types import is_size


@dataclass(frozen=True)
class CocoAnnotation:
    """One mask of an image.

    Attributes:
        id: number of the annotation.
        size: `(height, width)` of the image.
        segmentation: RLE or polygons, as in the file.
        category: name of what the mask shows, `object` where the file names none.
        facts: the annotation as in the file, with the scores that `write_coco` keeps there.
    """

    id: int
    size: tuple[int, int]
    segmentation: Any = field(repr=False)
    category: str = CATEGORY
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

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

    def record(self) -> MaskRecord:
        """The mask as a record, with the scores that the file holds.

        Raises:
            ValueError: if the segmentation or a score is malformed.
        """
        mask = self.mask()
        try:
            return mask_to_record(mask, category=self.category, **record_scores(self.facts))
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

    def records(self) -> list[MaskRecord]:
        """The masks as records, in the order of the file."""
        return [annotation.record() for annotation in self.annotations]


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
    content = read_json(path)
    name = Path(path).name
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise ValueError(f"{name} is not a COCO file: it lacks 'images' or 'annotations'")
    sizes = _read_sizes(content["images"], name, max_pixels)
    names = _read_categories(content.get("categories", []), name)
    found: dict[int, list[CocoAnnotation]] = {number: [] for number in sizes}
    for note in content["annotations"]:
        number, annotation = _read_annotation(note, sizes, names, name)
        found[number].append(annotation)
    return CocoDataset(
        tuple(
            CocoImage(
                image["id"], image["file_name"], sizes[image["id"]], tuple(found[image["id"]])
            )
            for image in content["images"]
        )
    )


def _read_sizes(images: list[Any], name: str, max_pixels: int) -> dict[int, tuple[int, int]]:
    """Number of an image -> its `(height, width)`."""
    sizes: dict[int, tuple[int, int]] = {}
    for image in images:
        _require(image, ("id", "file_name", "height", "width"), f"an image of {name}")
        _check_id(image["id"], f"the id of an image of {name}")
        _check_file_name(image["file_name"])
        if image["id"] in sizes:
            raise ValueError(f"{name} has two images with id {image['id']}")
        sizes[image["id"]] = _size(image, max_pixels)
    return sizes


def _read_categories(categories: Any, name: str) -> dict[int, str]:
    """Number of a category -> its name."""
    if not isinstance(categories, list):
        raise ValueError(f"the categories of {name} must be a list")
    names: dict[int, str] = {}
    for category in categories:
        _require(category, ("id", "name"), f"a category of {name}")
        _check_id(category["id"], f"the id of a category of {name}")
        if not isinstance(category["name"], str):
            raise ValueError(f"the name of category {category['id']} of {name} must be a text")
        names[category["id"]] = category["name"]
    return names


def _read_annotation(
    note: Any, sizes: dict[int, tuple[int, int]], names: dict[int, str], name: str
) -> tuple[int, CocoAnnotation]:
    """An annotation, and the number of its image."""
    _require(note, ("id", "image_id", "segmentation"), f"an annotation of {name}")
    number = note["image_id"]
    _check_id(note["id"], f"the id of an annotation of {name}")
    _check_id(number, f"the image_id of annotation {note['id']}")
    if number not in sizes:
        raise ValueError(f"annotation {note['id']} is of image {number}, which is missing")
    category = CATEGORY
    if names and "category_id" in note:
        _check_id(note["category_id"], f"the category_id of annotation {note['id']}")
        category = names.get(note["category_id"], CATEGORY)
    return number, CocoAnnotation(note["id"], sizes[number], note["segmentation"], category, note)


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
