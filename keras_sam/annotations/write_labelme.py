"""`write_labelme`: an image's masks for the annotation tool LabelMe."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.record import (
    AnnotatedImage,
    record_category,
    record_scores,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask

FORMATS = ("polygons", "masks")
VERSION = "5.5.0"  # of LabelMe, whose format is written


def write_labelme(
    image: AnnotatedImage, path: str | Path, *, form: str = "polygons", tolerance: float = 0.0
) -> None:
    """Writes the JSON file that LabelMe keeps beside an image; `read_labelme` reads it back.

    LabelMe keeps what it does not know, so that scores survive an edit. An empty mask has no
    outline and is left out.

    Args:
        image: the image; `file_name` is its path as seen from the JSON file.
        path: the JSON file. LabelMe looks for the image's name, ending in `.json`.
        form: `"polygons"`, whose corners can be moved: the parts of a mask share a `group_id`,
            and a hole is tied to its outline by a bridge of no width (`Polygon.to_ring`), as
            LabelMe knows no holes. Or `"masks"`, which need LabelMe 5.3 or later. Both are exact,
            but LabelMe itself fills polygons one pixel wider to the right and below.
        tolerance: pixels by which the corners of polygons may be off; 0 is exact.

    Raises:
        ValueError: if a mask has another size than the image, a score is not finite, or the form
            is something else.
    """
    if form not in FORMATS:
        raise ValueError(f"form must be one of {', '.join(FORMATS)}, got {form!r}")
    shapes: list[dict[str, Any]] = []
    for index, record in enumerate(image.records):
        runs = record_to_runs(record, image.size)
        outlines = _outlines(runs, tolerance) if form == "polygons" else _patches(runs)
        group = index if len(outlines) > 1 else None
        shapes += [_shape(record, group, outline) for outline in outlines]
    content: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image.file_name,
        "imageData": None,
        "imageHeight": int(image.size[0]),
        "imageWidth": int(image.size[1]),
    }
    write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _shape(
    record: Mapping[str, Any], group: int | None, outline: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "label": record_category(record),
        "group_id": group,
        "description": "",
        "flags": {},
        "mask": None,
        **outline,
        **record_scores(record),
    }


def _outlines(runs: RunLengthMask, tolerance: float) -> list[dict[str, Any]]:
    return [
        {"shape_type": "polygon", "points": polygon.to_ring().astype(float).tolist()}
        for polygon in runs_to_polygons(runs, tolerance=tolerance)
    ]


def _patches(runs: RunLengthMask) -> list[dict[str, Any]]:
    """The part of a mask in its box, with its first and its last pixel (x, y)."""
    x0, y0, x1, y1 = runs.box
    if x0 == x1:
        return []
    buffer = io.BytesIO()
    Image.fromarray(runs_to_mask(runs, runs.box).astype(np.uint8)).save(buffer, "PNG")
    return [
        {
            "shape_type": "mask",
            "points": [[float(x0), float(y0)], [float(x1 - 1), float(y1 - 1)]],
            "mask": base64.b64encode(buffer.getvalue()).decode(),
        }
    ]
