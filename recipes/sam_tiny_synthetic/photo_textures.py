"""`photo_texture`: small pieces of the package's photographs, as surfaces."""

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image

Rng = np.random.Generator

NAMES = ("astronaut", "chelsea", "coffee", "rocket")  # all free: keras_sam/assets/LICENSES.md


def photo_texture(size: int, rng: Rng, color: np.ndarray) -> np.ndarray:
    """A surface whose grain is a photograph's: `(S, S, 3)` of about one color.

    A piece of a photograph, of no known content, is scaled, turned, laid out with its mirror
    images, and moved to the color.

    Args:
        size: side of the surface in pixels.
        rng: of the choices.
        color: `(3,)` in 0..1.
    """
    piece = _random_piece(size, rng)
    rows, columns = (_mirrored(size, length, rng) for length in piece.shape[:2])
    grain = piece[rows][:, columns]
    if rng.random() < 0.5:
        grain = grain.swapaxes(0, 1)
    mean = piece.mean((0, 1))
    if rng.random() < 0.4:  # the photograph's own colors, brighter or darker
        return grain * np.float32(np.exp(rng.normal(0, 0.2)))
    return color + (grain - mean) * np.float32(rng.uniform(0.3, 1.3))


def _random_piece(size: int, rng: Rng) -> np.ndarray:
    """A square of a photograph, scaled to a quarter of the size or more, `(A, A, 3)` in 0..1."""
    photograph = _photographs()[rng.integers(len(NAMES))]
    side = int(min(photograph.size) * (0.06 + 0.5 * rng.random() ** 2))
    left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
    length = max(8, int(size * rng.uniform(0.25, 1.0)))
    piece = photograph.resize(
        (length, length), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    return np.asarray(piece, np.float32) / 255


def _mirrored(size: int, length: int, rng: Rng) -> np.ndarray:
    """Indices `(size,)` that run to and fro over `length`, from a random start."""
    places = (np.arange(size) + rng.integers(2 * length)) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


@cache
def _photographs() -> tuple[Image.Image, ...]:
    folder = files("keras_sam") / "assets"
    opened = []
    for name in NAMES:
        with (folder / f"{name}.jpg").open("rb") as file:
            opened.append(Image.open(file).convert("RGB"))
    return tuple(opened)
