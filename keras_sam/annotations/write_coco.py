"""`write_coco`: COCO annotations of images with their masks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_sam.annotations.record import (
    AnnotatedImage,
    record_categories,
    record_category,
    record_scores,
    record_to_runs,
    runs_to_annotation,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.run_length_mask import RunLengthMask

FORMATS = ("rle", "polygons")


def write_coco(
    images: Sequence[AnnotatedImage], path: str | Path, *, form: str = "rle", tolerance: float = 0.0
) -> None:
    """Writes images and their masks as COCO annotations, which `read_coco` reads back.

    Ids count from 1. Area and box are counted anew from each mask, scores are kept under the keys
    of the records, and `iscrowd` is 0 throughout: evaluation passes over crowds.

    Args:
        images: images with their records.
        path: the JSON file.
        form: `"rle"`, compressed, or `"polygons"`. COCO fills each polygon by itself and joins
            them, so that they have no holes: a hole is tied to its outline by a bridge of no
            width (`Polygon.to_ring`). Both forms are exact. An empty mask is always an RLE.
        tolerance: pixels by which the corners of polygons may be off; 0 is exact.

    Raises:
        ValueError: if a mask has another size than its image, a score is not finite, two images
            have one name, or the form is something else.
    """
    if form not in FORMATS:
        raise ValueError(f"form must be one of {', '.join(FORMATS)}, got {form!r}")
    names = [image.file_name for image in images]
    if len(set(names)) < len(names):
        raise ValueError(f"images must have different names, got {sorted(names)}")
    categories = record_categories(images)
    content = {
        "info": {"description": "Masks in the format of COCO"},
        "licenses": [],
        "images": [
            {"id": number, "file_name": image.file_name, **_sides(image.size)}
            for number, image in enumerate(images, 1)
        ],
        "annotations": _annotations(images, categories, form, tolerance),
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(categories, 1)
        ],
    }
    write_atomically(path, (json.dumps(content) + "\n").encode())


def _annotations(
    images: Sequence[AnnotatedImage], categories: list[str], form: str, tolerance: float
) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        for record in image.records:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories.index(record_category(record)) + 1,
                    **_shape(record_to_runs(record, image.size), image.size, form, tolerance),
                    "iscrowd": 0,
                    **record_scores(record),
                }
            )
    return annotations


def _shape(
    runs: RunLengthMask, size: tuple[int, int], form: str, tolerance: float
) -> Mapping[str, Any]:
    shape = runs_to_annotation(runs, size)
    if form == "polygons" and shape["area"]:
        polygons = runs_to_polygons(runs, tolerance=tolerance)
        shape["segmentation"] = [polygon.to_ring().ravel().tolist() for polygon in polygons]
    return shape


def _sides(size: tuple[int, int]) -> dict[str, int]:
    return {"height": int(size[0]), "width": int(size[1])}
