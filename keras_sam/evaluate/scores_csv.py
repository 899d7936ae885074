"""`write_scores_csv`: one row of scores per mask."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.evaluate.number_of_clicks import IOU_THRESHOLDS, NUM_MEANS, number_of_clicks
from keras_sam.evaluate.score_masks import MaskScore
from keras_sam.files.atomic_file import write_atomically

COLUMNS = (
    "file_name",
    "annotation_id",
    "category",
    "area",
    "box_iou",
    "point_iou",
    "point_oracle_iou",
    "three_point_iou",
    "jittered_point_iou",
    "box_boundary_iou",
    "point_boundary_iou",
    "three_point_boundary_iou",
    "box_predicted_iou",
)
CLICK_COLUMNS = (
    *(f"iou_after_{count}_clicks" for count in range(1, NUM_MEANS + 1)),
    *(f"clicks_to_{threshold:.2f}" for threshold in IOU_THRESHOLDS),
)


def write_scores_csv(scores: Sequence[MaskScore], path: str | Path) -> None:
    """Write a CSV file with one row per mask.

    A cell is empty if the score was not measured, or the number of clicks was not enough.

    Args:
        scores: Scores, from `Evaluation.scores`.
        path: File to write. Its folder must exist.

    Raises:
        OSError: If the folder does not exist or is not writable.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *CLICK_COLUMNS))
    for score in scores:
        cells = [getattr(score, name) for name in COLUMNS]
        writer.writerow(cells + _click_cells(score.click_iou))
    # File names may have characters that UTF-8 lacks.
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _click_cells(click_iou: tuple[float, ...] | None) -> list[Any]:
    """Return the cells of `CLICK_COLUMNS`; `None` is written as an empty cell."""
    if click_iou is None:
        return [None] * len(CLICK_COLUMNS)
    ious = list(click_iou[:NUM_MEANS])
    row = np.array([click_iou])
    clicks = [int(number_of_clicks(row, threshold)[0]) for threshold in IOU_THRESHOLDS]
    return [*ious, *[None] * (NUM_MEANS - len(ious)), *(count or None for count in clicks)]
