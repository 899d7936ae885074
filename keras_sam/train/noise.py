"""Noise: what textures, outlines and light are made of."""

from functools import lru_cache

import numpy as np
from PIL import Image

Rng = np.random.Generator


def smooth_noise(size: int, rng: Rng, octaves: int) -> np.ndarray:
    """Smooth noise, about 0..1."""
    cells = int(rng.integers(2, 5))
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves + 1):
        grid = rng.random((cells, cells)).astype(np.float32)
        total += (
            np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))
            * 0.5**octave
        )
        cells *= 2
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def rough_noise(size: int, rng: Rng) -> np.ndarray:
    """Noise `(S, S)` of 18 kinds, rough or smooth, some drawn out; mean 0, deviation 1."""
    noise = _bank(size)[rng.integers(18)]
    y, x = rng.integers(0, size, 2)
    crop = noise[y : y + size, x : x + size]
    if rng.random() < 0.5:
        crop = crop[::-1]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop.T
    return crop.astype(np.float32)


def displaced(array: np.ndarray, rng: Rng, distance: float) -> np.ndarray:
    """What is at places moved by smooth noise, mirrored at the borders.

    Args:
        array: `(S, S, ...)`.
        rng: of the noise.
        distance: the farthest that a place moves, in pixels.
    """
    size = array.shape[0]
    places = np.mgrid[:size, :size]
    moved = [
        to_and_fro((place + distance * (2 * smooth_noise(size, rng, 4) - 1)).astype(int), size)
        for place in places
    ]
    return array[moved[0], moved[1]]


def to_and_fro(places: np.ndarray, length: int) -> np.ndarray:
    """Integer places on a line to indices that run up and down 0..length - 1."""
    places = places % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


@lru_cache(maxsize=4)
def _bank(size: int) -> list[np.ndarray]:
    """Noise of several kinds, made once: uint8 maps of twice the size, in -1..1 as float16."""
    rng = np.random.default_rng(12345)
    maps = []
    side = 2 * size
    for slope in (0.6, 0.8, 1.0, 1.0, 1.3, 1.6):
        for aspect in (1, 1, 5):
            total = np.zeros((side, side), np.float32)
            cells = 4
            while cells <= side:
                grid = rng.normal(0, 1, (max(2, cells // aspect), cells)).astype(np.float32)
                layer = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
                total += np.asarray(layer) * (cells / 4.0) ** -slope
                cells *= 2
            maps.append(((total - total.mean()) / total.std()).astype(np.float16))
    return maps
