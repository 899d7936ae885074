"""`records_to_detections`: masks for the tools of `supervision`."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_sam.annotations.npz import records_to_arrays
from keras_sam.annotations.record import AnnotatedImage, record_categories


def records_to_detections(records: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> Any:
    """Masks as `supervision.Detections`, in their order.

    `xyxy`, `mask`, `confidence` (the predicted IoU) and `class_id` (the place of the category
    among those that occur) are set; `data` holds `class_name`, `area`, `stability_score`, `bbox`,
    `crop_box` and `point_coords`. Scores that any record lacks are left out.

    Args:
        records: masks with their scores.
        size: `(height, width)`, which all masks must have.

    Raises:
        ImportError: if `supervision` is not installed.
        ValueError: if a mask has another size, or a score is not finite.
    """
    try:
        supervision = importlib.import_module("supervision")
    except ImportError as error:
        raise ImportError(
            f"records_to_detections needs supervision (pip install supervision): {error}"
        ) from error
    arrays = records_to_arrays(records, size)
    known = {
        name: arrays.scores[name]
        for name in arrays.scores.dtype.names or ()
        if np.isfinite(arrays.scores[name]).all()
    }
    confidence = known.pop("predicted_iou", None)
    corner, sides = arrays.scores["bbox"][:, :2], arrays.scores["bbox"][:, 2:]
    names = record_categories([AnnotatedImage("image", size, records)])
    return supervision.Detections(
        xyxy=np.concatenate([corner, corner + sides], axis=1).astype(np.float32),
        mask=arrays.masks,
        confidence=None if confidence is None else confidence.astype(np.float32),
        class_id=np.array([names.index(name) for name in arrays.categories], int),
        data={"class_name": arrays.categories, **known},
    )
