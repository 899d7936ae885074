"""`records_to_detections`: masks for the tools of `supervision`."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import AnnotatedImage, record_categories
from keras_sam.annotations.npz import records_to_arrays
from keras_sam.types import Size


def records_to_detections(records: Sequence[Mapping[str, Any]], size: Size) -> Any:
    """Convert records to `supervision.Detections`, in the same order.

    Sets `xyxy`, `mask`, `confidence` (the predicted IoU) and `class_id` (the index of the category
    in order of first occurrence). `data` contains `class_name`, `area`, `stability_score`,
    `bbox`, `crop_box` and `point_coords`. A score that any record lacks is omitted.

    Args:
        records: Masks with their scores.
        size: `(height, width)` that all masks must have.

    Raises:
        ImportError: If `supervision` is not installed.
        ValueError: If a mask has another size, or a score is not finite.
    """
    try:
        supervision = importlib.import_module("supervision")
    except ImportError as error:
        raise ImportError(
            f"records_to_detections needs supervision (pip install supervision): {error}"
        ) from error
    arrays = records_to_arrays(records, size)
    complete_scores = {
        name: arrays.scores[name]
        for name in arrays.scores.dtype.names or ()
        if np.isfinite(arrays.scores[name]).all()
    }
    confidence = complete_scores.pop("predicted_iou", None)
    corner, sides = arrays.scores["bbox"][:, :2], arrays.scores["bbox"][:, 2:]
    names = record_categories([AnnotatedImage("image", size, records)])
    return supervision.Detections(
        xyxy=np.concatenate([corner, corner + sides], axis=1).astype(np.float32),
        mask=arrays.masks,
        confidence=None if confidence is None else confidence.astype(np.float32),
        class_id=np.array([names.index(name) for name in arrays.categories], int),
        data={"class_name": arrays.categories, **complete_scores},
    )
