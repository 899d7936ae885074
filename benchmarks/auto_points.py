"""What `points_per_side="auto"` saves, and what it loses, against 32 points per side.

Of the masks that all 1,024 points find, how many does "auto" find again (IoU over 0.5, and 0.75),
with which share of the prompts and of the time; and the same for a plain grid of 16 points per
side. Each image is searched by all of them in turn.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from pycocotools import mask as coco_mask
from rich.console import Console
from rich.table import Table

GRIDS: tuple[int | str, ...] = (32, "auto", 16)
IMAGES = Path(__file__).parent.parent / "keras_sam" / "assets"


def main(
    preset: str = typer.Option("sam_tiny_synthetic", help="Name or place of a model."),
    images: str = typer.Option(str(IMAGES), help="A folder of photographs."),
    limit: int = typer.Option(20, help="The first so many of them."),
    thresholds: str = typer.Option(
        "0.3/0.6,0.35/0.7,0.4/0.8", help="Pairs of predicted IoU and stability score."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """What points_per_side="auto" saves, and what it loses."""
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.predictor import SAMPredictor

    predictor = SAMPredictor(SAMImageSegmenter.from_preset(preset))
    files = [file for file in sorted(Path(images).rglob("*")) if file.suffix in (".jpg", ".png")][
        :limit
    ]
    rows = []
    for pair in thresholds.split(","):
        iou, stability = (float(number) for number in pair.split("/"))
        found = [
            {grid: search(predictor, file, grid, iou, stability) for grid in GRIDS}
            for file in files
        ]
        for grid in GRIDS[1:]:
            row = {"thresholds": pair, "points_per_side": grid}
            rows.append(row | compared(found, grid))
    if as_json:
        print(json.dumps(rows))
        return
    table = Table(title=f"{preset}, {len(files)} images, against 32 points per side")
    columns = ("thresholds", "points", "prompts", "time", "found again", "IoU > 0.75", "masks")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        shares = (f"{row[name]:.2f}" for name in ("prompts", "time", "over_50", "over_75"))
        counts = f"{row['masks']} of {row['of']}"
        table.add_row(row["thresholds"], str(row["points_per_side"]), *shares, counts)
    Console().print(table)


def search(
    predictor: Any, file: Path, grid: int | str, iou: float, stability: float
) -> dict[str, Any]:
    """Everything in a photograph: its masks, prompts and seconds."""
    from keras_sam.predict.mask_generator import SAMMaskGenerator

    generator = SAMMaskGenerator(
        predictor,
        grid,
        pred_iou_thresh=iou,
        stability_score_thresh=stability,
        output_mode="coco_rle",
    )
    prompts = []
    started = time.perf_counter()
    records = generator.generate(file, progress=lambda done, total: prompts.append(done))
    seconds = time.perf_counter() - started
    masks = [record["segmentation"] for record in records]
    return {"masks": masks, "prompts": prompts[-1], "seconds": seconds}


def compared(found: list[dict[int | str, dict[str, Any]]], grid: int | str) -> dict[str, Any]:
    """Figures of a grid, against those of the finest."""
    pairs = [(image[GRIDS[0]], image[grid]) for image in found]
    best = np.concatenate([best_ious(fine["masks"], coarse["masks"]) for fine, coarse in pairs])
    return {
        "prompts": float(np.mean([coarse["prompts"] / fine["prompts"] for fine, coarse in pairs])),
        "time": float(np.median([coarse["seconds"] / fine["seconds"] for fine, coarse in pairs])),
        "over_50": float((best > 0.5).mean()),
        "over_75": float((best > 0.75).mean()),
        "masks": sum(len(coarse["masks"]) for _, coarse in pairs),
        "of": len(best),
    }


def best_ious(masks: list[dict[str, Any]], others: list[dict[str, Any]]) -> np.ndarray:
    """Of each mask the IoU with the nearest of the others."""
    if not masks or not others:
        return np.zeros(len(masks))
    return np.asarray(coco_mask.iou(masks, others, [0] * len(others))).max(axis=1)
