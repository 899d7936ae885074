"""What a person waits for: an image, and clicks on it, with the preset as it ships."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from keras_sam.images.read_image import read_image
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.predictor import SAMPredictor

PHOTOGRAPH = Path(__file__).parent.parent / "keras_sam" / "assets" / "coffee.jpg"
OUTLINES = "model", "image"


def main(
    preset: Annotated[str, typer.Option(help="Name or directory.")] = "sam_tiny_synthetic",
    image: Annotated[Path, typer.Option(help="A photograph.")] = PHOTOGRAPH,
    rounds: Annotated[int, typer.Option(help="Clicks of each kind, taking turns.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the places of the clicks.")] = 0,
) -> None:
    """Seconds of `set_image`, and of `predict` for one click with three masks of the original.

    Outlines "image" are those that move to the image's edges; "model" leaves them.
    """
    pixels = read_image(image)
    height, width = pixels.shape[:2]
    predictors = {}
    for outlines in OUTLINES:
        model = SAMImageSegmenter.from_preset(preset)
        if outlines == "model":
            model.preprocessing |= {"outlines": "model", "ratings": None}
        predictors[outlines] = SAMPredictor(model)
    times: dict[tuple[str, str], list[float]] = {}
    places = np.random.default_rng(seed).random((rounds + 1, 1, 2)) * (width, height)
    for number, place in enumerate(places):
        for outlines, predictor in predictors.items():
            click = partial(predictor.predict, place, [1])
            steps = (
                ("image", partial(predictor.set_image, pixels)),
                ("first click", click),
                ("another click", click),
            )
            for name, step in steps:
                began = time.perf_counter()
                step()
                if number:  # the first round compiles
                    times.setdefault((name, outlines), []).append(time.perf_counter() - began)
    table = Table("step", "outlines", "median", "quartiles", title=keras.backend.backend())
    for (name, outlines), seconds in times.items():
        low, middle, high = np.percentile(seconds, [25, 50, 75]) * 1e3
        table.add_row(name, outlines, f"{middle:.1f} ms", f"{low:.1f} to {high:.1f}")
    Console().print(table)
