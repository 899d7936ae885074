"""`records_to_arrays`: masks as one array, and their scores as another."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.annotations.record import (
    mask_to_record,
    record_category,
    record_scores,
    record_to_mask,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.types import is_size

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
    """Records as arrays, N of them.

    Attributes:
        masks: `(N, H, W)` bool.
        scores: `(N,)`, with the fields `area`, `bbox` (XYWH), `predicted_iou`, `point_coords`
            (x, y of the first click), `stability_score` and `crop_box` (XYWH); NaN where a record
            lacks one.
        categories: `(N,)` str.
    """

    masks: np.ndarray
    scores: np.ndarray
    categories: np.ndarray


def records_to_arrays(records: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> RecordArrays:
    """Stacks masks, and collects their scores.

    Args:
        records: masks with their scores.
        size: `(height, width)`, which all masks must have.

    Raises:
        ValueError: if a mask has another size, or a score is not finite.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    masks = np.zeros((len(records), *size), bool)
    scores = np.zeros(len(records), SCORES_DTYPE)
    for index, record in enumerate(records):
        masks[index] = record_to_mask(record, size)
        counted, known = mask_to_record(masks[index]), record_scores(record)
        scores["area"][index], scores["bbox"][index] = counted["area"], counted["bbox"]
        for key in ("predicted_iou", "stability_score", "crop_box"):
            scores[key][index] = known.get(key, np.nan)
        scores["point_coords"][index] = (known.get("point_coords") or [np.nan])[0]
    categories = np.array([record_category(record) for record in records], str)
    return RecordArrays(masks, scores, categories)


def write_npz(
    records: Sequence[Mapping[str, Any]], path: str | Path, *, size: tuple[int, int]
) -> None:
    """Writes `masks`, `scores` and `categories` of `records_to_arrays`, compressed.

    `numpy.load` reads the file without pickle.

    Args:
        records: masks with their scores.
        path: the file, ending in `.npz`.
        size: `(height, width)`, which all masks must have.
    """
    arrays = records_to_arrays(records, size)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, masks=arrays.masks, scores=arrays.scores, categories=arrays.categories
    )
    write_atomically(path, buffer.getvalue())
