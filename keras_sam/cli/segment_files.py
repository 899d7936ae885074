"""`write_segments`: the output files of `keras-sam segment`."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.cli.prompts import ObjectPrompt
from keras_sam.drawing.overlay import draw_overlay
from keras_sam.files.atomic_file import write_atomically


@dataclass(frozen=True)
class SegmentedObject:
    """The masks of one object.

    Attributes:
        prompt: Prompt of the object.
        masks: Masks `(M, H, W)`, bool, by descending predicted IoU.
        iou_predictions: Predicted IoU `(M,)`.
    """

    prompt: ObjectPrompt
    masks: np.ndarray
    iou_predictions: np.ndarray


def write_segments(
    image: np.ndarray,
    objects: list[SegmentedObject],
    output: Path,
    *,
    stem: str,
    metadata: dict[str, Any],
) -> dict[str, Any]:
    """Write the masks, an overlay and a record. Each file is complete or missing.

    Args:
        image: Image `(H, W, 3)`, uint8.
        objects: Objects with their masks.
        output: Folder, created if it is missing.
        stem: Start of the file names.
        metadata: Further entries of the record.

    Returns:
        Record with `metadata`, `prompts`, `masks` (one record per mask with its `object` and
        `file`), `overlay` and `record` (paths).
    """
    output.mkdir(parents=True, exist_ok=True)
    masks: list[dict[str, Any]] = []
    for index, segmented in enumerate(objects):
        for mask, predicted_iou in zip(segmented.masks, segmented.iou_predictions, strict=True):
            path = output / f"{stem}_mask_{len(masks)}.png"
            _write_png(path, Image.fromarray(mask.astype(np.uint8) * 255))
            record = mask_to_record(mask, predicted_iou=float(predicted_iou))
            masks.append({"object": index, "file": path, **record})
    overlay = output / f"{stem}_overlay.png"
    _write_png(overlay, _overlay(image, objects))
    # Annotation tools write STEM.json next to an image, so that name must not be used.
    record_path = output / f"{stem}_segments.json"
    result = {
        **metadata,
        "prompts": [segmented.prompt.to_dict() for segmented in objects],
        "masks": masks,
        "overlay": overlay,
        "record": record_path,
    }
    write_atomically(record_path, (json.dumps(result, indent=2, default=str) + "\n").encode())
    return result


def _overlay(image: np.ndarray, objects: list[SegmentedObject]) -> Image.Image:
    """Draw the first mask of each object with its prompt."""
    points = [point for segmented in objects for point in segmented.prompt.points]
    boxes = [segmented.prompt.box for segmented in objects if segmented.prompt.box is not None]
    return Image.fromarray(
        draw_overlay(
            image,
            np.stack([segmented.masks[0] for segmented in objects]),
            points=[point[:2] for point in points],
            labels=[point.label for point in points],
            boxes=boxes,
        )
    )


def _write_png(path: Path, image: Image.Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
