"""`write_mask_pngs`: one PNG per mask, and a table of the scores."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.mask_record import box_to_xywh, record_scores, record_to_mask
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.measures import mask_area, mask_to_box
from keras_sam.types import Size

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
    records: Sequence[Mapping[str, Any]], folder: str | Path, *, size: Size | None = None
) -> list[Path]:
    """Write each mask as a PNG, 255 inside and 0 outside, and `metadata.csv`.

    File and column names are those of Meta's command for automatic mask generation: `0.png`,
    `1.png`, and a row for each with its area, box, first prompt point, scores and crop. Missing
    scores are empty.

    Args:
        records: Masks with their scores.
        folder: Folder to write to, created if missing. Other files in it are not changed.
        size: Expected `(height, width)` of all masks, or None to accept any.

    Returns:
        The paths of the masks.

    Raises:
        ValueError: If a mask has another size, or a score is not finite.
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
    return [
        index,
        int(mask_area(mask)),
        *box_to_xywh(mask_to_box(mask)),
        *(scores.get("point_coords") or [["", ""]])[0],
        scores.get("predicted_iou", ""),
        scores.get("stability_score", ""),
        *scores.get("crop_box", [""] * 4),
    ]
