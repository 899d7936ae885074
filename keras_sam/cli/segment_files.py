"""`write_segments`: the files of `keras-sam segment`, and the record that names them."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.cli.prompts import Prompt
from keras_sam.drawing.overlay import draw_overlay
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_to_box


@dataclass(frozen=True)
class SegmentedObject:
    """The masks of one prompt, the one that the model rates best first."""

    prompt: Prompt
    masks: np.ndarray  # (M, H, W) bool
    iou_predictions: np.ndarray  # (M,)


def write_segments(
    image: np.ndarray,
    objects: list[SegmentedObject],
    output: Path,
    *,
    stem: str,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Writes each mask, the picture and the record, each one whole or not at all.

    Args:
        image: `(H, W, 3)` uint8.
        objects: what was found for each prompt.
        output: the folder; made if it is missing.
        stem: what the file names begin with.
        facts: put into the record as they are.

    Returns:
        The record: `facts`, `prompts`, `masks` (one entry per mask, with the keys of Meta's
        mask generator and the index of the `object`), `overlay` and `record` (paths).
    """
    output.mkdir(parents=True, exist_ok=True)
    masks: list[dict[str, Any]] = []
    for index, found in enumerate(objects):
        for mask, iou_prediction in zip(found.masks, found.iou_predictions, strict=True):
            path = output / f"{stem}_mask_{len(masks)}.png"
            _write_png(path, Image.fromarray(mask.astype(np.uint8) * 255))
            masks.append({"object": index, "file": path, **_mask_record(mask, iou_prediction)})
    overlay = output / f"{stem}_overlay.png"
    _write_png(overlay, _overlay(image, objects))
    # Annotation tools keep STEM.json beside a photograph: that name is not ours to take.
    record_path = output / f"{stem}_segments.json"
    record = {
        **facts,
        "prompts": [found.prompt.record() for found in objects],
        "masks": masks,
        "overlay": overlay,
        "record": record_path,
    }
    write_atomically(record_path, (json.dumps(record, indent=2, default=str) + "\n").encode())
    return record


def _mask_record(mask: np.ndarray, iou_prediction: float) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(value) for value in mask_to_box(mask))
    return {
        "segmentation": mask_to_coco_rle(mask),
        "area": int(mask.sum()),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "predicted_iou": float(iou_prediction),
    }


def _overlay(image: np.ndarray, objects: list[SegmentedObject]) -> Image.Image:
    """The best mask of each object, with what it was prompted by."""
    points = [point for found in objects for point in found.prompt.points]
    boxes = [found.prompt.box for found in objects if found.prompt.box is not None]
    return Image.fromarray(
        draw_overlay(
            image,
            np.stack([found.masks[0] for found in objects]),
            points=[point[:2] for point in points],
            labels=[point.label for point in points],
            boxes=boxes,
        )
    )


def _write_png(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
