"""`python -m benchmarks latency`: time that a user of an interactive tool waits."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import typer

from benchmarks.console import print_table
from benchmarks.sample_photos import COFFEE
from keras_sam import SAMImageSegmenter, SAMPredictor, read_image


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    image: Annotated[
        Path, typer.Option(help="Image file. Defaults to a photograph of the package.")
    ] = COFFEE,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed of the points.")] = 0,
) -> None:
    """Measure `set_image` and `predict` with one point.

    If the preset has a mask refiner, the predictor runs with it and without it, in turns.
    """
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    model = SAMImageSegmenter.from_preset(preset)
    predictors = {"no": SAMPredictor(model, mask_refiner=None)}
    if model.inference_config.mask_refiner is not None:
        predictors["yes"] = SAMPredictor(model)
    seconds: dict[tuple[str, str], list[float]] = {}
    points = np.random.default_rng(seed).random((rounds + 1, 1, 2)) * (width, height)
    for index, point in enumerate(points):
        for refined, predictor in predictors.items():
            predict = partial(predictor.predict, point, [1])
            steps: dict[str, Callable[[], Any]] = {
                "set_image": partial(predictor.set_image, pixels),
                "first predict": predict,
                "next predict": predict,
            }
            for step, function in steps.items():
                start = time.perf_counter()
                function()
                if index:  # the first round compiles
                    elapsed = time.perf_counter() - start
                    seconds.setdefault((step, refined), []).append(elapsed)
    print_table(
        f"{preset}, {keras.backend.backend()}, {width} x {height} pixels",
        ("step", "mask refiner", "median", "quartiles"),
        ([*key, *format_milliseconds(values)] for key, values in seconds.items()),
    )


def format_milliseconds(seconds: list[float]) -> tuple[str, str]:
    """Return the median and the quartiles of some times as text."""
    low, median, high = np.percentile(seconds, [25, 50, 75]) * 1e3
    return f"{median:.1f} ms", f"{low:.1f} to {high:.1f} ms"
