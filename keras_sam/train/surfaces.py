"""Surfaces: colours, textures and light."""

import numpy as np
from PIL import Image, ImageFilter

from keras_sam.train.matter import matter
from keras_sam.train.noise import rough_noise
from keras_sam.train.photo_textures import photo_texture

Rng = np.random.Generator

MATTER_PROBABILITY = 0.65  # that a surface is rough matter
PHOTO_PROBABILITY = 0.4  # that another surface has the grain of a photograph
ROUND_PROBABILITY = 0.5  # that an object is lit as a body, not as a card

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


def random_surface(size: int, rng: Rng, colour: np.ndarray | None = None) -> np.ndarray:
    """A textured surface `(S, S, 3)` of about one colour."""
    colour = random_colour(rng) if colour is None else colour
    if rng.random() < MATTER_PROBABILITY:
        return matter(size, rng, colour)
    if rng.random() < PHOTO_PROBABILITY:
        return photo_texture(size, rng, colour)
    noise = rough_noise(size, rng)
    strength = 0.02 + 0.25 * rng.random() ** 2
    kind = rng.random()
    if kind < 0.2:  # two-coloured blotches
        second = random_colour(rng) if rng.random() < 0.6 else colour * 0.6
        edge = rng.random() * 6 + 1
        blend = 1 / (1 + np.exp(-edge * (rough_noise(size, rng) - rng.normal(0, 0.7))))
        base = colour + (second - colour) * blend[..., None]
    elif kind < 0.3:  # stripes, checks, spots
        y, x = np.mgrid[:size, :size].astype(np.float32) / size
        angle, frequency = rng.random() * np.pi, 4 + 26 * rng.random()
        bend = 0.05 * rng.random() * noise
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle) + bend))
        if rng.random() < 0.4:
            wave = wave * np.sin(
                2 * np.pi * frequency * (-x * np.sin(angle) + y * np.cos(angle) + bend)
            )
        second = random_colour(rng) if rng.random() < 0.5 else colour * 0.65
        base = (
            colour
            + (second - colour)
            * (np.clip(wave * (1 + 3 * rng.random()), -1, 1) * 0.5 + 0.5)[..., None]
        )
    else:
        base = np.broadcast_to(colour, (size, size, 3))
    tint = np.array([1, 1, 1], np.float32) + rng.normal(0, 0.15, 3).astype(np.float32)
    return base * (1 + strength * noise[..., None] * tint)


def shade(colours: np.ndarray, mask: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Directional light over an object, from its own extent, and at times on its round form."""
    size = mask.shape[0]
    y, x = np.nonzero(mask) if mask.any() else (np.array([0]), np.array([0]))
    cx, cy, spread = x.mean(), y.mean(), max(x.std(), y.std(), 1)
    grid_y, grid_x = np.mgrid[:size, :size].astype(np.float32)
    angle = rng.random() * 2 * np.pi
    ramp = ((grid_x - cx) * np.cos(angle) + (grid_y - cy) * np.sin(angle)) / spread
    light = 1 + strength * rng.random() * 0.3 * np.clip(ramp, -2, 2)
    if rng.random() < ROUND_PROBABILITY:
        light = light * (1 + 0.6 * rng.random() * _faced_light(mask, angle, spread, rng))
    return colours * light[..., None]


def _faced_light(mask: np.ndarray, angle: float, spread: float, rng: Rng) -> np.ndarray:
    """How far a body with this outline turns to the light, `(S, S)` in -1..1."""
    radius = spread * rng.uniform(0.2, 1.0)
    outline = Image.fromarray(mask.astype(np.float32))
    cells = max(8, int(4 * outline.width / max(4.0, radius)))
    blurred = outline.resize((cells, cells), Image.Resampling.BOX)
    height = np.asarray(blurred.resize(outline.size, Image.Resampling.BICUBIC))
    slope_y, slope_x = np.gradient(height)
    towards = -(slope_x * np.cos(angle) + slope_y * np.sin(angle)) * radius
    return np.clip(towards, -1, 1).astype(np.float32)


def paste(below: np.ndarray, mask: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Pixels `above` where the mask is, with a soft edge."""
    alpha = soft_edge(mask)[..., None]
    return below * (1 - alpha) + above * alpha


def soft_edge(mask: np.ndarray) -> np.ndarray:
    """Opacity 0..1 of a mask whose edge is a pixel wide."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.BoxBlur(0.6)), np.float32) / 255


def random_colour(rng: Rng) -> np.ndarray:
    """A colour of nature, now and then any colour, in 0..1."""
    colour = PALETTE[rng.integers(len(PALETTE))] + rng.normal(0, 0.06, 3)
    if rng.random() < 0.06:
        colour = rng.random(3)
    return np.clip(colour * np.exp(rng.normal(0, 0.2)), 0.02, 1.0).astype(np.float32)


def ridge_line(size: int, rng: Rng) -> np.ndarray:
    """The outline of hills, `(1, S)`, about 0..1."""
    line = np.zeros(size, np.float32)
    for k in range(1, 24):
        line += rng.normal() / k**1.3 * np.cos(np.linspace(0, np.pi * k, size) + rng.random() * 6.3)
    return (0.5 + line / 4)[None]
