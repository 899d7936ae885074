"""`read_coco` and `write_coco`: images with their masks, as COCO annotations."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import (
    DEFAULT_CATEGORY,
    AnnotatedImage,
    MaskRecord,
    mask_to_record,
    record_categories,
    record_category,
    record_scores,
    record_to_runs,
    runs_to_annotation,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.files.check_file_name import check_file_name
from keras_sam.files.json_file import read_json
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygons_to_mask import polygons_to_mask
from keras_sam.masks.run_length_mask import RunLengthMask
from keras_sam.types import Size, is_size

SEGMENTATION_FORMATS = ("rle", "polygons")


@dataclass(frozen=True)
class CocoAnnotation:
    """One mask of an image.

    Attributes:
        id: Annotation id.
        size: `(height, width)` of the image.
        segmentation: COCO RLE or polygons, as in the file.
        category: Name of the object's class, or `object` if the file names none.
        raw: The annotation's entry in the file, with any scores that `write_coco` stored.
    """

    id: int
    size: Size
    segmentation: Any = field(repr=False)
    category: str = DEFAULT_CATEGORY
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def mask(self) -> np.ndarray:
        """Decode the mask `(H, W)`. Polygons are clipped to the image.

        Raises:
            ValueError: If the segmentation is malformed, or its size is not the image's.
        """
        try:
            if isinstance(self.segmentation, dict):
                return _rle_to_mask(self.segmentation, self.size)
            return polygons_to_mask(_parse_polygons(self.segmentation), self.size)
        except ValueError as error:
            raise ValueError(f"annotation {self.id}: {error}") from error

    def record(self) -> MaskRecord:
        """Convert the annotation to a record with the scores stored in the file.

        Raises:
            ValueError: If the segmentation or a score is malformed.
        """
        mask = self.mask()
        try:
            return mask_to_record(mask, category=self.category, **record_scores(self.raw))
        except ValueError as error:
            raise ValueError(f"annotation {self.id}: {error}") from error


@dataclass(frozen=True)
class CocoImage:
    """One image and its annotations.

    Attributes:
        id: Image id.
        file_name: Path of the image, relative to the image folder.
        size: `(height, width)` in pixels.
        annotations: Masks of the image, in the order of the file.
        raw: The image's entry in the file.
    """

    id: int
    file_name: str
    size: Size
    annotations: tuple[CocoAnnotation, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def records(self) -> list[MaskRecord]:
        """Convert the annotations to records, in the order of the file."""
        return [annotation.record() for annotation in self.annotations]


@dataclass(frozen=True)
class CocoDataset:
    """Images with their masks.

    Attributes:
        images: Images in the order of the file.
    """

    images: tuple[CocoImage, ...]


def read_coco(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> CocoDataset:
    """Read COCO annotations. Masks are decoded on demand.

    Args:
        path: JSON file.
        max_pixels: Maximum number of pixels of an image.

    Raises:
        FileNotFoundError: If the file is missing.
        TypeError: If `path` is not a path.
        ValueError: If the file is not a COCO file, an image is too large, or a file name points
            outside the image folder.
    """
    content = read_json(path)
    name = Path(path).name
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise ValueError(f"{name} is not a COCO file: 'images' and 'annotations' must be lists")
    sizes = _read_sizes(content["images"], name, max_pixels)
    categories = _read_categories(content.get("categories", []), name)
    annotations: dict[int, list[CocoAnnotation]] = {image_id: [] for image_id in sizes}
    for entry in content["annotations"]:
        image_id, annotation = _read_annotation(entry, sizes, categories, name)
        annotations[image_id].append(annotation)
    entries = {entry["id"]: entry for entry in content["images"]}
    return CocoDataset(
        tuple(
            CocoImage(
                image_id, entry["file_name"], sizes[image_id], tuple(annotations[image_id]), entry
            )
            for image_id, entry in entries.items()
        )
    )


def write_coco(
    images: Sequence[AnnotatedImage],
    path: str | Path,
    *,
    format: str = "rle",
    polygon_tolerance: float = 0.0,
) -> None:
    """Write images and their masks as COCO annotations, which `read_coco` reads back exactly.

    Ids start at 1. Areas and boxes are computed from the masks, and scores keep the keys of the
    records. `iscrowd` is always 0, because evaluation ignores crowds.

    Args:
        images: Images with their records.
        path: JSON file to write.
        format: `"rle"` for compressed RLEs, or `"polygons"`. COCO polygons have no holes, so a
            zero-width bridge connects each hole to the ring around it (`Polygon.to_ring`). Both
            formats are exact. An empty mask is always an RLE.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact. Only for `"polygons"`.

    Raises:
        ValueError: If the format is unknown or has no polygons for a tolerance, a mask does not
            have its image's size, a score is not finite, or two images share a name.
    """
    if format not in SEGMENTATION_FORMATS:
        raise ValueError(f"format must be one of {', '.join(SEGMENTATION_FORMATS)}, got {format!r}")
    if polygon_tolerance and format != "polygons":
        raise ValueError(f"polygon_tolerance needs format='polygons', got format={format!r}")
    names = [image.file_name for image in images]
    if len(set(names)) < len(names):
        raise ValueError(f"images must have different names, got {sorted(names)}")
    categories = record_categories(images)
    content = {
        "info": {"description": "Masks in the COCO format"},
        "licenses": [],
        "images": [_image_entry(image_id, image) for image_id, image in enumerate(images, 1)],
        "annotations": _annotation_entries(images, categories, format, polygon_tolerance),
        "categories": [
            {"id": category_id, "name": name, "supercategory": ""}
            for category_id, name in enumerate(categories, 1)
        ],
    }
    write_atomically(path, (json.dumps(content) + "\n").encode())


def _read_sizes(entries: list[Any], name: str, max_pixels: int) -> dict[int, Size]:
    """Return image id -> `(height, width)`."""
    sizes: dict[int, Size] = {}
    for entry in entries:
        _require_keys(entry, ("id", "file_name", "height", "width"), f"an image of {name}")
        _check_id(entry["id"], f"the id of an image of {name}")
        check_file_name(entry["file_name"])
        if entry["id"] in sizes:
            raise ValueError(f"{name} has two images with id {entry['id']}")
        sizes[entry["id"]] = _read_size(entry, max_pixels)
    return sizes


def _read_size(entry: dict[str, Any], max_pixels: int) -> Size:
    size = entry["height"], entry["width"]
    if not is_size(size):
        raise ValueError(
            f"height and width of image {entry['id']} must be whole pixels, "
            f"got {reprlib.repr(size)}"
        )
    if size[0] * size[1] > max_pixels:
        raise ValueError(
            f"image {entry['id']} has {size[1]} x {size[0]} pixels, "
            f"more than the {max_pixels} allowed"
        )
    return size


def _read_categories(entries: Any, name: str) -> dict[int, str]:
    """Return category id -> category name."""
    if not isinstance(entries, list):
        raise ValueError(f"the categories of {name} must be a list")
    categories: dict[int, str] = {}
    for entry in entries:
        _require_keys(entry, ("id", "name"), f"a category of {name}")
        _check_id(entry["id"], f"the id of a category of {name}")
        if not isinstance(entry["name"], str):
            raise ValueError(f"the name of category {entry['id']} of {name} must be a string")
        categories[entry["id"]] = entry["name"]
    return categories


def _read_annotation(
    entry: Any, sizes: dict[int, Size], categories: dict[int, str], name: str
) -> tuple[int, CocoAnnotation]:
    """Return the image id of an annotation, and the annotation."""
    _require_keys(entry, ("id", "image_id", "segmentation"), f"an annotation of {name}")
    annotation_id, image_id = entry["id"], entry["image_id"]
    _check_id(annotation_id, f"the id of an annotation of {name}")
    _check_id(image_id, f"the image_id of annotation {annotation_id}")
    if image_id not in sizes:
        raise ValueError(
            f"annotation {annotation_id} belongs to image {image_id}, which is missing"
        )
    category = DEFAULT_CATEGORY
    if categories and "category_id" in entry:
        _check_id(entry["category_id"], f"the category_id of annotation {annotation_id}")
        category = categories.get(entry["category_id"], DEFAULT_CATEGORY)
    return image_id, CocoAnnotation(
        annotation_id, sizes[image_id], entry["segmentation"], category, entry
    )


def _require_keys(entry: Any, keys: tuple[str, ...], what: str) -> None:
    missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}")


def _check_id(value: Any, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{what} must be a whole number, got {reprlib.repr(value)}")


def _rle_to_mask(rle: dict[str, Any], size: Size) -> np.ndarray:
    rle_size: Any = rle.get("size")
    if not is_size(rle_size) or tuple(rle_size) != tuple(size):
        raise ValueError(
            f"the RLE must have the image's size {list(size)}, got {reprlib.repr(rle_size)}"
        )
    return coco_rle_to_mask(rle)


def _parse_polygons(polygons: Any) -> list[np.ndarray]:
    """Return the corners `(N, 2)` of each polygon."""
    if not isinstance(polygons, list) or not polygons:
        raise ValueError(
            f"segmentation must be an RLE or a list of polygons, got {reprlib.repr(polygons)}"
        )
    return [_parse_polygon(polygon) for polygon in polygons]


def _parse_polygon(polygon: Any) -> np.ndarray:
    if (
        not isinstance(polygon, list)
        or len(polygon) < 6
        or len(polygon) % 2
        or not all(_is_number(value) for value in polygon)
    ):
        raise ValueError(
            "a polygon must be a list x0, y0, x1, y1, ... of at least three points, "
            f"got {reprlib.repr(polygon)}"
        )
    try:
        return np.array(polygon, np.float64).reshape(-1, 2)
    except OverflowError as error:
        raise ValueError("a polygon must be finite, got a number beyond float64") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _image_entry(image_id: int, image: AnnotatedImage) -> dict[str, Any]:
    height, width = (int(side) for side in image.size)
    return {"id": image_id, "file_name": image.file_name, "height": height, "width": width}


def _annotation_entries(
    images: Sequence[AnnotatedImage],
    categories: list[str],
    format: str,
    polygon_tolerance: float,
) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        for record in image.records:
            runs = record_to_runs(record, image.size)
            annotation = runs_to_annotation(runs, image.size)
            if format == "polygons" and annotation["area"]:
                annotation["segmentation"] = _polygon_segmentation(runs, polygon_tolerance)
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": image_id,
                    "category_id": categories.index(record_category(record)) + 1,
                    **annotation,
                    "iscrowd": 0,
                    **record_scores(record),
                }
            )
    return entries


def _polygon_segmentation(runs: RunLengthMask, tolerance: float) -> list[list[float]]:
    polygons = runs_to_polygons(runs, tolerance=tolerance)
    return [polygon.to_ring().ravel().tolist() for polygon in polygons]
