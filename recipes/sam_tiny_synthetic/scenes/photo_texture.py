"""`photo_texture`: small pieces of the package's photographs as surfaces."""

from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image

Rng = np.random.Generator

NAMES = ("astronaut", "chelsea", "coffee", "rocket")  # licenses: keras_sam/assets/LICENSES.md


def photo_texture(size: int, rng: Rng, color: np.ndarray) -> np.ndarray:
    """Draw a surface with the texture of a photograph.

    A random piece of a photograph is resized, tiled with its mirror images, and shifted to the
    color.

    Args:
        size: Side of the surface in pixels.
        rng: Random number generator.
        color: Approximate color `(3,)` in [0, 1]. Some surfaces have the photograph's colors
            instead.

    Returns:
        Colors `(S, S, 3)`, float32, about 0 to 1.
    """
    piece = _random_piece(size, rng)
    rows, columns = (_mirrored_indices(size, length, rng) for length in piece.shape[:2])
    texture = piece[rows][:, columns]
    if rng.random() < 0.5:
        texture = texture.swapaxes(0, 1)
    mean = piece.mean((0, 1))
    if rng.random() < 0.4:  # the photograph's own colors, brighter or darker
        return texture * np.float32(np.exp(rng.normal(0, 0.2)))
    return color + (texture - mean) * np.float32(rng.uniform(0.3, 1.3))


def _random_piece(size: int, rng: Rng) -> np.ndarray:
    """Resize a square of a photograph to at least a quarter of `size`, `(A, A, 3)` in [0, 1]."""
    photograph = _photographs()[rng.integers(len(NAMES))]
    side = int(min(photograph.size) * (0.06 + 0.5 * rng.random() ** 2))
    left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
    length = max(8, int(size * rng.uniform(0.25, 1.0)))
    piece = photograph.resize(
        (length, length), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    return np.asarray(piece, np.float32) / 255


def _mirrored_indices(size: int, length: int, rng: Rng) -> np.ndarray:
    """Return `size` indices that run back and forth over `length` from a random start."""
    positions = (np.arange(size) + rng.integers(2 * length)) % (2 * length)
    return np.minimum(positions, 2 * length - 1 - positions)


@cache
def _photographs() -> tuple[Image.Image, ...]:
    folder = files("keras_sam") / "assets"
    photographs = []
    for name in NAMES:
        with (folder / f"{name}.jpg").open("rb") as file:
            photographs.append(Image.open(file).convert("RGB"))
    return tuple(photographs)
