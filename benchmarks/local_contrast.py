"""`python -m benchmarks local-contrast`: contrast within small squares of photographs and scenes.

Contrast at object boundaries alone makes few squares bright and dark at once. Photographs have
texture everywhere, so this shows whether procedural scenes have as much.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.console import print_table
from keras_sam import read_image

MAX_SIDE = 256  # of an image in pixels, as of a scene
SQUARE_SIDES = (8, 32)
PERCENTILES = (10, 25, 50, 75, 90)


def main(
    images: Annotated[list[Path], typer.Argument(help="Folders of JPEG photographs.")],
    scenes: Annotated[int, typer.Option(min=1, help="Number of scenes.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the first scene.")] = 0,
) -> None:
    """Print percentiles of the standard deviation of brightness in squares of images."""
    from recipes.sam_tiny_synthetic.scenes.scene import draw_scene

    groups = {folder.name: read_small_images(folder) for folder in images}
    groups["scenes"] = [draw_scene(seed + index, MAX_SIDE).image for index in range(scenes)]
    rows = []
    for name, group in groups.items():
        for side in SQUARE_SIDES:
            values = np.percentile(local_deviations(group, side), PERCENTILES)
            rows.append([name, f"{side} px", *(f"{value:.3f}" for value in values)])
    columns = ("images", "squares", *(f"{percent} %" for percent in PERCENTILES))
    print_table("Standard deviation of brightness in squares", columns, rows)


def read_small_images(folder: Path) -> list[np.ndarray]:
    """Read a folder's JPEG files, reduced to the size of scenes."""
    small = []
    for path in sorted(folder.glob("*.jpg")):
        image = Image.fromarray(read_image(path))
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        small.append(np.asarray(image))
    return small


def local_deviations(images: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Return the standard deviation of brightness in each whole square of all images.

    Args:
        images: Images `(H, W, 3)`, uint8.
        side: Side of the squares in pixels.

    Returns:
        Standard deviations `(N,)`, for brightness in [0, 1].
    """
    deviations = []
    for image in images:
        brightness = image.mean(-1) / 255
        rows, columns = brightness.shape[0] // side, brightness.shape[1] // side
        squares = brightness[: rows * side, : columns * side]
        squares = squares.reshape(rows, side, columns, side)
        deviations.append(squares.std((1, 3)).ravel())
    return np.concatenate(deviations)
