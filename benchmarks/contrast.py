"""How much contrast is everywhere in an image, not at outlines alone: scenes and photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from keras_sam.images.read_image import read_image
from recipes.sam_tiny_synthetic.scenes.scene import draw_scene

LONGEST = 256  # side of an image in pixels
SIDES = 8, 32  # of the squares
PERCENTILES = 10, 25, 50, 75, 90


def main(
    images: Annotated[list[Path], typer.Argument(help="Folders of photographs.")],
    scenes: Annotated[int, typer.Option(help="Number of scenes.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the first scene.")] = 0,
) -> None:
    """Standard deviations of brightness, 0 to 1, in squares of images, as percentiles."""
    table = Table("images", "squares", *(f"{percent} %" for percent in PERCENTILES))
    rows = [(folder.name, read_small(folder)) for folder in images]
    rows.append(("scenes", [draw_scene(seed + index, LONGEST).image for index in range(scenes)]))
    for name, pictures in rows:
        for side in SIDES:
            found = np.percentile(local_deviations(pictures, side), PERCENTILES)
            table.add_row(name, f"{side} px", *(f"{value:.3f}" for value in found))
    Console().print(table)


def read_small(folder: Path) -> list[np.ndarray]:
    """The folder's JPEG files at the scale of scenes."""
    small = []
    for path in sorted(folder.glob("*.jpg")):
        image = Image.fromarray(read_image(path))
        image.thumbnail((LONGEST, LONGEST))
        small.append(np.asarray(image))
    return small


def local_deviations(images: Sequence[np.ndarray], side: int) -> np.ndarray:
    """The standard deviation of each whole square of images `(H, W, 3)` uint8."""
    found = []
    for image in images:
        brightness = image.mean(-1) / 255
        rows, columns = brightness.shape[0] // side, brightness.shape[1] // side
        squares = brightness[: rows * side, : columns * side]
        squares = squares.reshape(rows, side, columns, side)
        found.append(squares.std((1, 3)).ravel())
    return np.concatenate(found)
