"""Memory and time of everything mode, each measurement in a process of its own.

The peak is that of the resident set while everything is found, over that while the same image is
encoded. The masks are asked for as runs: as pixels, each takes as many bytes as the photograph has
pixels, which is the caller's wish and no work of the generator.

The photograph is one of the package, enlarged. Of all masks a share passes, by a threshold of their
ratings that is found with some points first; so the figures mean the same for random weights.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from keras_sam.predict.predictor import SAMPredictor

PHOTOGRAPH = Path(__file__).parent.parent / "keras_sam" / "assets" / "coffee.jpg"
# The grid and the size that count, then others of both, to show what grows with them.
RUNS = "32@4000x3000,16@4000x3000,64@4000x3000,32@1000x750,32@8000x6000"
MEASURE = "import json, sys; from benchmarks.everything import measure; " + (
    "print(json.dumps(measure(**json.loads(sys.argv[1]))))"
)


def measure(
    preset: str, random: bool, points: int, size: list[int], share: float
) -> dict[str, float]:
    """Everything in the photograph, in this process.

    Args:
        preset: name or place.
        random: whether to leave its weights random.
        points: along each side.
        size: `(width, height)` of the photograph.
        share: of the masks that shall pass, 0..1.
    """
    from benchmarks.peak_memory import PeakMemory
    from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
    from keras_sam.predict.mask_generator import SAMMaskGenerator
    from keras_sam.predict.predictor import SAMPredictor

    model = SAMImageSegmenter.from_preset(preset, load_weights=not random)
    # Rated one by one, the points of the share leave no memory behind.
    predictor = SAMPredictor(model, prompts_per_batch=1)
    photograph = Image.open(PHOTOGRAPH).convert("RGB")
    image = np.asarray(photograph.resize(size, Image.Resampling.BICUBIC))
    predictor.set_image(image)  # what is compiled and set up at first
    encoding = PeakMemory()
    predictor.set_image(image)
    encoder_peak = encoding.figures()["peak"]
    generator = SAMMaskGenerator(
        predictor,
        points,
        pred_iou_thresh=rating_of_share(predictor, share),
        stability_score_thresh=0.0,
        output_mode="coco_rle",
    )
    predictor.reset_image()
    memory, start = PeakMemory(), time.perf_counter()
    records = generator.generate(image)
    seconds = time.perf_counter() - start
    peak = memory.figures()["peak"]
    return {
        "seconds": seconds,
        "encoder_peak": encoder_peak,
        "peak": peak,
        "more": peak - encoder_peak,
        "masks": len(records),
    }


def rating_of_share(predictor: "SAMPredictor", share: float) -> float:
    """The rating that a share of the masks of the image is over."""
    height, width = predictor.original_size
    x, y = np.meshgrid(*((np.arange(6) + 0.5) / 6 * side for side in (width, height)))
    points = np.stack([x.ravel(), y.ravel()], axis=-1)[:, None]
    _, ratings = predictor.predict_low_res(points, np.ones((len(points), 1)))
    # A threshold of 0 would let all pass, and one below it, too.
    return max(1e-9, float(np.quantile(ratings, 1 - share)))


def main(
    preset: str = typer.Option("sam_tiny_synthetic", help="As of `keras-sam masks`."),
    random: bool = typer.Option(False, "--random", help="Leave the weights of the preset random."),
    runs: str = typer.Option(RUNS, help="POINTS@WIDTHxHEIGHT of the photograph, commas between."),
    share: float = typer.Option(0.25, min=0.0, max=1.0, help="Of the masks that shall pass."),
    backend: str = typer.Option("torch", help="Of Keras."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Time of everything mode, and its peak memory over that of the encoder."""
    environment = os.environ | {"KERAS_BACKEND": backend}
    rows = []
    for run in runs.split(","):
        points, size = parse_run(run)
        settings = {"preset": preset, "random": random, "points": points, "share": share}
        finished = subprocess.run(
            [sys.executable, "-c", MEASURE, json.dumps(settings | {"size": size})],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=environment,
        )
        figures = json.loads(finished.stdout.splitlines()[-1])
        rows.append({"points_per_side": points, "size": size, **figures})
        print(f"{run}: {figures['more'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps({"preset": preset, "backend": backend, "share": share, "rows": rows}))
        return
    show(rows, f"Everything, {preset}, {backend}, {share:.0%} of the masks pass")


def parse_run(run: str) -> tuple[int, list[int]]:
    """Points along each side, and `(width, height)`."""
    points, _, size = run.partition("@")
    width, _, height = size.partition("x")
    try:
        return int(points), [int(width), int(height)]
    except ValueError:
        raise typer.BadParameter(f"expected POINTS@WIDTHxHEIGHT, got {run!r}") from None


def show(rows: list[dict], title: str) -> None:
    table = Table(title=title)
    for column in ("points", "photograph", "encoder peak", "peak", "more", "seconds", "masks"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['points_per_side']}²",
            "{} x {}".format(*row["size"]),
            *(f"{row[name] / 1e6:.0f} MB" for name in ("encoder_peak", "peak", "more")),
            f"{row['seconds']:.1f}",
            str(row["masks"]),
        )
    Console().print(table)
