"""`write_mask_pngs`: one picture per mask, and a table of the scores."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.record import mask_to_record, record_scores, record_to_mask
from keras_sam.files.atomic_file import write_atomically

COLUMNS = (
    "id",
    "area",
    *(f"bbox_{side}" for side in ("x0", "y0", "w", "h")),
    "point_input_x",
    "point_input_y",
    "predicted_iou",
    "stability_score",
    *(f"crop_box_{side}" for side in ("x0", "y0", "w", "h")),
)


def write_mask_pngs(
    records: Sequence[Mapping[str, Any]], folder: str | Path, *, size: tuple[int, int] | None = None
) -> list[Path]:
    """Writes each mask as a PNG, 255 inside and 0 outside, and `metadata.csv`.

    Files and columns are named as by the command of Meta's mask generator: `0.png`, `1.png`, and
    a row for each with its area, box, first click, scores and crop. What is not known is empty.

    Args:
        records: masks with their scores.
        folder: made if it is missing. What else lies in it is left alone.
        size: the `(height, width)` that all masks must have.

    Returns:
        The paths of the masks.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(COLUMNS)
    paths = []
    for index, record in enumerate(records):
        mask = record_to_mask(record, size)
        buffer = io.BytesIO()
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(buffer, "PNG")
        paths.append(folder / f"{index}.png")
        write_atomically(paths[-1], buffer.getvalue())
        rows.writerow(_row(index, mask, record_scores(record)))
    write_atomically(folder / "metadata.csv", table.getvalue().encode())
    return paths


def _row(index: int, mask: np.ndarray, scores: Mapping[str, Any]) -> list[Any]:
    counted = mask_to_record(mask)
    return [
        index,
        counted["area"],
        *counted["bbox"],
        *(scores.get("point_coords") or [["", ""]])[0],
        scores.get("predicted_iou", ""),
        scores.get("stability_score", ""),
        *scores.get("crop_box", [""] * 4),
    ]
