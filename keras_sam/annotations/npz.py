"""`records_to_arrays` and `write_npz`: masks as one array, and their scores as another."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import (
    box_to_xywh,
    record_category,
    record_scores,
    record_to_mask,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.measures import mask_area, mask_to_box
from keras_sam.types import Size, is_size

SCORES_DTYPE = np.dtype(
    [
        ("area", np.int64),
        ("bbox", np.float64, (4,)),
        ("predicted_iou", np.float64),
        ("point_coords", np.float64, (2,)),
        ("stability_score", np.float64),
        ("crop_box", np.float64, (4,)),
    ]
)


@dataclass(frozen=True, eq=False)
class RecordArrays:
    """N records as arrays.

    Attributes:
        masks: Boolean `(N, H, W)`.
        scores: Structured array `(N,)` with the fields `area` (pixels), `bbox` (XYWH),
            `predicted_iou`, `point_coords` (x, y of the first prompt point), `stability_score` and
            `crop_box` (XYWH). Missing scores are NaN.
        categories: Category names `(N,)` str.
    """

    masks: np.ndarray
    scores: np.ndarray
    categories: np.ndarray


def records_to_arrays(records: Sequence[Mapping[str, Any]], size: Size) -> RecordArrays:
    """Stack the masks of records and collect their scores.

    Args:
        records: Masks with their scores.
        size: `(height, width)` that all masks must have.

    Raises:
        ValueError: If a mask has another size, or a score is not finite.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    masks = np.zeros((len(records), *size), bool)
    scores = np.zeros(len(records), SCORES_DTYPE)
    for index, record in enumerate(records):
        masks[index] = record_to_mask(record, size)
        scores["area"][index] = mask_area(masks[index])
        scores["bbox"][index] = box_to_xywh(mask_to_box(masks[index]))
        stored = record_scores(record)
        for key in ("predicted_iou", "stability_score", "crop_box"):
            scores[key][index] = stored.get(key, np.nan)
        scores["point_coords"][index] = (stored.get("point_coords") or [np.nan])[0]
    categories = np.array([record_category(record) for record in records], str)
    return RecordArrays(masks, scores, categories)


def write_npz(records: Sequence[Mapping[str, Any]], path: str | Path, *, size: Size) -> None:
    """Write the arrays of `records_to_arrays` to a compressed `.npz` file.

    The file contains `masks`, `scores` and `categories`. `numpy.load` reads it without pickle.

    Args:
        records: Masks with their scores.
        path: File to write, with the suffix `.npz`.
        size: `(height, width)` that all masks must have.

    Raises:
        ValueError: If a mask has another size, or a score is not finite.
    """
    arrays = records_to_arrays(records, size)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, masks=arrays.masks, scores=arrays.scores, categories=arrays.categories
    )
    write_atomically(path, buffer.getvalue())
