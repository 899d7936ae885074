"""`python -m benchmarks auto-points`: cost and benefit of `points_per_side="auto"`.

Each image is processed with 32 points per side, with "auto" and with 16. The masks of 32 points per
side are the reference: the table has the fraction of them that the other grids find again, and the
fraction of prompts and time that these need.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from pycocotools import mask as coco_mask

from benchmarks.console import print_table
from benchmarks.sample_photos import SAMPLE_DIR
from keras_sam import SAMImageSegmenter, SAMMaskGenerator, SAMPredictor

REFERENCE_GRID = 32
GRIDS: tuple[int | str, ...] = ("auto", 16)
SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True)
class Generated:
    """Masks of an image.

    Attributes:
        masks: COCO RLEs.
        prompts: Number of prompts.
        seconds: Time of the generation.
    """

    masks: list[dict[str, Any]]
    prompts: int
    seconds: float


@dataclass(frozen=True)
class GridComparison:
    """A grid relative to the reference grid.

    Attributes:
        prompts: Mean fraction of prompts.
        seconds: Median fraction of the time.
        recall_50: Fraction of the reference's masks that have a mask with an IoU above 0.5.
        recall_75: Fraction with an IoU above 0.75.
        masks: Number of masks.
        reference_masks: Number of masks of the reference.
    """

    prompts: float
    seconds: float
    recall_50: float
    recall_75: float
    masks: int
    reference_masks: int


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    images: Annotated[
        Path, typer.Option(help="Folder of images. Defaults to the package's photographs.")
    ] = SAMPLE_DIR,
    max_images: Annotated[int, typer.Option(min=1, help="Maximum number of images.")] = 20,
    thresholds: Annotated[
        str, typer.Option(help="Pairs of predicted IoU and stability score.")
    ] = "0.3/0.6,0.35/0.7,0.4/0.8",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare points_per_side="auto" with 32 and 16 points per side."""
    predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    files = sorted(file for file in images.rglob("*") if file.suffix in SUFFIXES)[:max_images]
    rows = []
    for pair in thresholds.split(","):
        pred_iou_thresh, stability_score_thresh = map(float, pair.split("/"))
        generated = [
            {
                grid: generate(predictor, file, grid, pred_iou_thresh, stability_score_thresh)
                for grid in (REFERENCE_GRID, *GRIDS)
            }
            for file in files
        ]
        for grid in GRIDS:
            pairs = [(of_image[REFERENCE_GRID], of_image[grid]) for of_image in generated]
            row = {"thresholds": pair, "points_per_side": grid}
            rows.append(row | asdict(compare_grids(pairs)))
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        f"{preset}, {len(files)} images, relative to 32 points per side",
        ("thresholds", "points", "prompts", "time", "IoU > 0.5", "IoU > 0.75", "masks"),
        map(format_row, rows),
    )


def generate(
    predictor: SAMPredictor,
    file: Path,
    points_per_side: int | str,
    pred_iou_thresh: float,
    stability_score_thresh: float,
) -> Generated:
    """Generate the masks of an image file."""
    generator = SAMMaskGenerator(
        predictor,
        points_per_side=points_per_side,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
        output_mode="coco_rle",
    )
    counts = [0]
    start = time.perf_counter()
    records = generator.generate(file, progress=lambda completed, total: counts.append(completed))
    seconds = time.perf_counter() - start
    return Generated([record["segmentation"] for record in records], counts[-1], seconds)


def compare_grids(pairs: list[tuple[Generated, Generated]]) -> GridComparison:
    """Compare a grid with the reference.

    Args:
        pairs: Masks of each image: of the reference, and of the grid.
    """
    ious = np.concatenate([best_ious(reference.masks, other.masks) for reference, other in pairs])
    return GridComparison(
        prompts=float(np.mean([other.prompts / reference.prompts for reference, other in pairs])),
        seconds=float(np.median([other.seconds / reference.seconds for reference, other in pairs])),
        recall_50=float((ious > 0.5).mean()),
        recall_75=float((ious > 0.75).mean()),
        masks=sum(len(other.masks) for _, other in pairs),
        reference_masks=len(ious),
    )


def best_ious(masks: list[dict[str, Any]], others: list[dict[str, Any]]) -> np.ndarray:
    """Return the highest IoU of each mask with any of the others. Masks are COCO RLEs."""
    if not masks or not others:
        return np.zeros(len(masks))
    return np.asarray(coco_mask.iou(masks, others, [0] * len(others))).max(axis=1)


def format_row(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    fractions = ("prompts", "seconds", "recall_50", "recall_75")
    return [
        row["thresholds"],
        str(row["points_per_side"]),
        *(f"{row[name]:.2f}" for name in fractions),
        f"{row['masks']} / {row['reference_masks']}",
    ]
