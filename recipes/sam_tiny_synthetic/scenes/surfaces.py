"""Colors, textures and light of objects."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.scenes.photo_texture import photo_texture

Rng = np.random.Generator

PHOTO_PROBABILITY = 0.4  # of a surface with the texture of a photograph
BLOTCHES_PROBABILITY, STRIPES_PROBABILITY = 0.2, 0.1  # of the other surfaces
NOISE_SLOPES = (0.6, 0.8, 1.0, 1.0, 1.3, 1.6)  # decay of the amplitude with the frequency
NOISE_ASPECTS = (1, 1, 5)  # horizontal stretch
NUM_NOISE_MAPS = len(NOISE_SLOPES) * len(NOISE_ASPECTS)

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
    """Draw a textured surface.

    Args:
        size: Side of the surface in pixels.
        rng: Random number generator.
        color: Approximate color `(3,)` in [0, 1]; random if `None`.

    Returns:
        Colors `(S, S, 3)`, float, about 0 to 1.
    """
    color = random_color(rng) if color is None else color
    if rng.random() < PHOTO_PROBABILITY:
        return photo_texture(size, rng, color)
    noise = random_noise(size, rng)
    strength = 0.02 + 0.25 * rng.random() ** 2
    kind = rng.random()
    if kind < BLOTCHES_PROBABILITY:
        base = _blotches(size, rng, color)
    elif kind < BLOTCHES_PROBABILITY + STRIPES_PROBABILITY:
        base = _stripes(size, rng, color, noise)
    else:
        base = np.broadcast_to(color, (size, size, 3))
    tint = np.array([1, 1, 1], np.float32) + rng.normal(0, 0.15, 3).astype(np.float32)
    return base * (1 + strength * noise[..., None] * tint)


def _blotches(size: int, rng: Rng, color: np.ndarray) -> np.ndarray:
    """Blend two colors by noise."""
    second = random_color(rng) if rng.random() < 0.6 else color * 0.6
    contrast = rng.random() * 6 + 1
    blend = 1 / (1 + np.exp(-contrast * (random_noise(size, rng) - rng.normal(0, 0.7))))
    return color + (second - color) * blend[..., None]


def _stripes(size: int, rng: Rng, color: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Blend two colors by waves in one direction or in two."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    angle, frequency = rng.random() * np.pi, 4 + 26 * rng.random()
    bend = 0.05 * rng.random() * noise
    wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle) + bend))
    if rng.random() < 0.4:
        across = -x * np.sin(angle) + y * np.cos(angle) + bend
        wave = wave * np.sin(2 * np.pi * frequency * across)
    second = random_color(rng) if rng.random() < 0.5 else color * 0.65
    blend = np.clip(wave * (1 + 3 * rng.random()), -1, 1) * 0.5 + 0.5
    return color + (second - color) * blend[..., None]


def shade(colors: np.ndarray, mask: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Light an object from a random direction, relative to its own extent.

    Args:
        colors: Colors `(S, S, 3)`.
        mask: Mask of the object `(S, S)`.
        rng: Random number generator.
        strength: Largest strength of the light's gradient, in [0, 1].

    Returns:
        Colors `(S, S, 3)`.
    """
    size = mask.shape[0]
    y, x = np.nonzero(mask) if mask.any() else (np.array([0]), np.array([0]))
    cx, cy, spread = x.mean(), y.mean(), max(x.std(), y.std(), 1)
    grid_y, grid_x = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.random() * 2 * np.pi
    ramp = ((grid_x - cx) * np.cos(angle) + (grid_y - cy) * np.sin(angle)) / spread
    light = 1 + strength * rng.random() * 0.3 * np.clip(ramp, -2, 2)
    return colors * light[..., None]


def paste(below: np.ndarray, mask: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Replace colors `(S, S, 3)` inside a mask by those `above`, with an antialiased boundary."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    opacity = np.asarray(image.filter(ImageFilter.BoxBlur(0.6)), np.float32) / 255
    alpha = opacity[..., None]
    return below * (1 - alpha) + above * alpha


def random_color(rng: Rng) -> np.ndarray:
    """Choose a color of the palette, sometimes any color: `(3,)` float32 in [0, 1]."""
    color = PALETTE[rng.integers(len(PALETTE))] + rng.normal(0, 0.06, 3)
    if rng.random() < 0.12:
        color = rng.random(3)
    return np.clip(color * np.exp(rng.normal(0, 0.2)), 0.02, 1.0).astype(np.float32)


def smooth_noise(size: int, rng: Rng, octaves: int) -> np.ndarray:
    """Draw smooth noise `(S, S)`, float32 in [0, 1].

    Args:
        size: Side in pixels.
        rng: Random number generator.
        octaves: Number of finer layers, each with half the amplitude of the one before.
    """
    cells = int(rng.integers(2, 5))
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves + 1):
        grid = rng.random((cells, cells)).astype(np.float32)
        layer = Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * 0.5**octave
        cells *= 2
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def random_noise(size: int, rng: Rng) -> np.ndarray:
    """Draw noise `(S, S)`, float32, of mean 0 and standard deviation 1: a crop of a stored map."""
    noise = _noise_maps(size)[int(rng.integers(NUM_NOISE_MAPS))]
    y, x = rng.integers(0, size, 2)
    crop = noise[y : y + size, x : x + size]
    if rng.random() < 0.5:
        crop = crop[::-1]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop.T
    return crop.astype(np.float32)


@lru_cache(maxsize=4)
def _noise_maps(size: int) -> list[np.ndarray]:
    """Draw noise of several kinds, `(2 S, 2 S)`, float16. Drawing it anew would be slow."""
    rng = np.random.default_rng(12345)
    side = 2 * size
    return [
        _noise_map(side, rng, slope, aspect) for slope in NOISE_SLOPES for aspect in NOISE_ASPECTS
    ]


def _noise_map(side: int, rng: Rng, slope: float, aspect: int) -> np.ndarray:
    total = np.zeros((side, side), np.float32)
    cells = 4
    while cells <= side:
        grid = rng.normal(0, 1, (max(2, cells // aspect), cells)).astype(np.float32)
        layer = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * (cells / 4.0) ** -slope
        cells *= 2
    return ((total - total.mean()) / total.std()).astype(np.float16)
