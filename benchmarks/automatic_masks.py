"""`python -m benchmarks automatic-masks`: memory and time of automatic mask generation.

Each row is measured in a process of its own. The memory is the peak of the resident set during the
generation, minus the peak while the same image is encoded. Masks are run lengths: as arrays, each
mask would take as many bytes as the image has pixels.

The image is a photograph of the package, enlarged. A given fraction of all masks passes, so that
results are comparable between models and with random weights.
"""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.call_in_process import call_in_process
from benchmarks.console import print_table
from benchmarks.peak_memory import PeakMemory
from benchmarks.sample_photos import read_photo

if TYPE_CHECKING:
    from keras_sam import SAMPredictor

# The usual grid and a camera's image size first, then other grids and sizes to show the growth.
RUNS = "32@4000x3000,16@4000x3000,64@4000x3000,32@1000x750,32@8000x6000"
THRESHOLD_POINTS_PER_SIDE = 6


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    random: Annotated[
        bool, typer.Option("--random", help="Use random weights instead of the preset's.")
    ] = False,
    runs: Annotated[
        str, typer.Option(help="POINTS@WIDTHxHEIGHT: points per side and image size.")
    ] = RUNS,
    passing: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Fraction of the masks to keep.")
    ] = 0.25,
    backend: Annotated[str, typer.Option(help="Keras backend.")] = "torch",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure memory and time of automatic mask generation."""
    rows = []
    for run in runs.split(","):
        points_per_side, size = parse_run(run)
        arguments = {
            "preset": preset,
            "random": random,
            "points_per_side": points_per_side,
            "size": size,
            "passing": passing,
        }
        metrics = call_in_process(measure, arguments, environment={"KERAS_BACKEND": backend})
        rows.append({"points_per_side": points_per_side, "size": size, **metrics})
        print(f"{run}: {metrics['additional'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps({"preset": preset, "backend": backend, "passing": passing, "rows": rows}))
        return
    print_table(
        f"Automatic masks, {preset}, {backend}, {passing:.0%} of the masks pass",
        ("points", "image", "encoder peak", "peak", "additional", "seconds", "masks"),
        map(format_row, rows),
    )


def measure(
    preset: str, random: bool, points_per_side: int, size: list[int], passing: float
) -> dict[str, float]:
    """Generate the masks of the photograph in this process.

    Args:
        preset: Name or directory.
        random: If True, weights are random.
        points_per_side: Points along each side of the grid.
        size: `(width, height)` of the image.
        passing: Fraction of the masks that pass, in [0, 1].

    Returns:
        `seconds`, `encoder_peak`, `peak` and `additional` memory in bytes, and number of `masks`.
    """
    from keras_sam import SAMImageSegmenter, SAMMaskGenerator, SAMPredictor

    model = SAMImageSegmenter.from_preset(preset, load_weights=not random)
    # With one prompt per batch, the search for a threshold does not raise the peak.
    predictor = SAMPredictor(model, prompts_per_batch=1)
    image = read_photo((size[0], size[1]))
    predictor.set_image(image)  # compiles
    encoder_memory = PeakMemory()
    predictor.set_image(image)
    encoder_peak = encoder_memory.measure()["peak"]
    generator = SAMMaskGenerator(
        predictor,
        points_per_side=points_per_side,
        pred_iou_thresh=iou_quantile(predictor, 1 - passing),
        stability_score_thresh=0.0,
        output_mode="coco_rle",
    )
    predictor.reset_image()
    memory, start = PeakMemory(), time.perf_counter()
    records = generator.generate(image)
    seconds = time.perf_counter() - start
    peak = memory.measure()["peak"]
    return {
        "seconds": seconds,
        "encoder_peak": encoder_peak,
        "peak": peak,
        "additional": peak - encoder_peak,
        "masks": len(records),
    }


def iou_quantile(predictor: "SAMPredictor", quantile: float) -> float:
    """Return a quantile of the IoU predictions of a few points of the image that is set."""
    height, width = predictor.original_size
    side = THRESHOLD_POINTS_PER_SIDE
    x, y = np.meshgrid(*((np.arange(side) + 0.5) / side * length for length in (width, height)))
    points = np.stack([x.ravel(), y.ravel()], axis=-1)[:, None]
    _, iou_predictions = predictor.predict_low_res(points, np.ones((len(points), 1)))
    return max(1e-9, float(np.quantile(iou_predictions, quantile)))  # 0 would keep all masks


def parse_run(run: str) -> tuple[int, list[int]]:
    """Return the points per side and the `[width, height]` of `POINTS@WIDTHxHEIGHT`.

    Raises:
        typer.BadParameter: If the text has another format.
    """
    points_per_side, _, size = run.partition("@")
    width, _, height = size.partition("x")
    try:
        return int(points_per_side), [int(width), int(height)]
    except ValueError:
        raise typer.BadParameter(f"expected POINTS@WIDTHxHEIGHT, got {run!r}") from None


def format_row(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    return [
        f"{row['points_per_side']}²",
        "{} x {}".format(*row["size"]),
        *(f"{row[name] / 1e6:.0f} MB" for name in ("encoder_peak", "peak", "additional")),
        f"{row['seconds']:.1f}",
        str(row["masks"]),
    ]
