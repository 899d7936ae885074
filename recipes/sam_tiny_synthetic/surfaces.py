"""Surfaces: colors, textures and light."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.photo_textures import photo_texture

Rng = np.random.Generator

PHOTO_PROBABILITY = 0.4  # that a surface has the grain of a photograph

PALETTE = np.array(
    [
        [122, 140, 90], [86, 105, 60], [60, 72, 40], [150, 130, 95], [110, 88, 62], [78, 60, 44],
        [190, 180, 160], [215, 210, 200], [140, 140, 138], [95, 98, 100], [50, 52, 56],
        [25, 26, 30], [150, 185, 215], [110, 150, 195], [70, 100, 140], [200, 170, 140],
        [225, 190, 160], [160, 110, 85], [180, 60, 45], [205, 150, 50], [230, 215, 120],
        [240, 238, 232], [90, 60, 100], [40, 80, 110],
    ],
    np.float32,
) / 255  # fmt: skip


def random_surface(size: int, rng: Rng, color: np.ndarray | None = None) -> np.ndarray:
    """A textured surface `(S, S, 3)` of about one color."""
    color = random_color(rng) if color is None else color
    if rng.random() < PHOTO_PROBABILITY:
        return photo_texture(size, rng, color)
    noise = _bank_crop(size, rng, int(rng.integers(18)))
    strength = 0.02 + 0.25 * rng.random() ** 2
    kind = rng.random()
    if kind < 0.2:  # two-colored blotches
        second = random_color(rng) if rng.random() < 0.6 else color * 0.6
        edge = rng.random() * 6 + 1
        blend = 1 / (
            1 + np.exp(-edge * (_bank_crop(size, rng, int(rng.integers(18))) - rng.normal(0, 0.7)))
        )
        base = color + (second - color) * blend[..., None]
    elif kind < 0.3:  # stripes, checks, spots
        y, x = np.mgrid[:size, :size].astype(np.float32) / size
        angle, frequency = rng.random() * np.pi, 4 + 26 * rng.random()
        bend = 0.05 * rng.random() * noise
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle) + bend))
        if rng.random() < 0.4:
            wave = wave * np.sin(
                2 * np.pi * frequency * (-x * np.sin(angle) + y * np.cos(angle) + bend)
            )
        second = random_color(rng) if rng.random() < 0.5 else color * 0.65
        base = (
            color
            + (second - color)
            * (np.clip(wave * (1 + 3 * rng.random()), -1, 1) * 0.5 + 0.5)[..., None]
        )
    else:
        base = np.broadcast_to(color, (size, size, 3))
    tint = np.array([1, 1, 1], np.float32) + rng.normal(0, 0.15, 3).astype(np.float32)
    return base * (1 + strength * noise[..., None] * tint)


def shade(colors: np.ndarray, mask: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Directional light over an object, from its own extent."""
    size = mask.shape[0]
    y, x = np.nonzero(mask) if mask.any() else (np.array([0]), np.array([0]))
    cx, cy, spread = x.mean(), y.mean(), max(x.std(), y.std(), 1)
    grid_y, grid_x = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.random() * 2 * np.pi
    ramp = ((grid_x - cx) * np.cos(angle) + (grid_y - cy) * np.sin(angle)) / spread
    light = 1 + strength * rng.random() * 0.3 * np.clip(ramp, -2, 2)
    return colors * light[..., None]


def paste(below: np.ndarray, mask: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Pixels `above` where the mask is, with a soft edge."""
    alpha = soft_edge(mask)[..., None]
    return below * (1 - alpha) + above * alpha


def soft_edge(mask: np.ndarray) -> np.ndarray:
    """Opacity 0..1 of a mask whose edge is a pixel wide."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.BoxBlur(0.6)), np.float32) / 255


def random_color(rng: Rng) -> np.ndarray:
    """A color of nature, now and then any color, in 0..1."""
    color = PALETTE[rng.integers(len(PALETTE))] + rng.normal(0, 0.06, 3)
    if rng.random() < 0.12:
        color = rng.random(3)
    return np.clip(color * np.exp(rng.normal(0, 0.2)), 0.02, 1.0).astype(np.float32)


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


def ridge_line(size: int, rng: Rng) -> np.ndarray:
    """The outline of hills, `(1, S)`, about 0..1."""
    line = np.zeros(size, np.float32)
    for k in range(1, 24):
        line += rng.normal() / k**1.3 * np.cos(np.linspace(0, np.pi * k, size) + rng.random() * 6.3)
    return (0.5 + line / 4)[None]


def _bank_crop(size: int, rng: Rng, index: int) -> np.ndarray:
    noise = _bank(size)[index]
    y, x = rng.integers(0, size, 2)
    step = 1
    crop = noise[y : y + size, x : x + size] if step == 1 else noise
    if rng.random() < 0.5:
        crop = crop[::-1]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop.T
    return crop.astype(np.float32)


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
