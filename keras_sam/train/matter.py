"""`matter`: surfaces of what photographs are full of: rock, gravel, leaves, grass, fur, water.

Every one has strong contrast within, from light on relief and from small things side by side. In
photographs most of an image is like that, and the edges in it bound nothing that is asked for.
"""

import numpy as np
from PIL import Image, ImageDraw

from keras_sam.train.noise import displaced, rough_noise, to_and_fro

Rng = np.random.Generator

GRAINS = 500  # small things in a tile, drawn one over the other
STRANDS = 1800  # in a surface


def matter(size: int, rng: Rng, colour: np.ndarray) -> np.ndarray:
    """A surface `(S, S, 3)` of rough matter of about one colour, now and then receding.

    Args:
        size: side of the surface in pixels.
        rng: of the choices.
        colour: `(3,)` in 0..1.
    """
    kind = rng.random()
    if kind < 0.45:
        surface = relief(size, rng, colour)
    elif kind < 0.75:
        surface = grains(size, rng, colour)
    else:
        surface = strands(size, rng, colour)
    if rng.random() < 0.5:  # brighter and darker places, as in the shade of a tree
        surface = surface * np.exp(rng.uniform(0.05, 0.35) * rough_noise(size, rng))[..., None]
    if rng.random() < 0.3:
        surface = receding(surface, rng)
    return surface


def relief(size: int, rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Light from one side on a rough ground of one matter: rock, sand, bark, waves."""
    height = rough_noise(size, rng)
    form = rng.random()
    if form < 0.35:
        height = -np.abs(height)  # ridges
    elif form < 0.6:
        height = np.abs(height)  # cracks
    slope_y, slope_x = np.gradient(height * size * rng.uniform(0.01, 0.08))
    angle = rng.random() * 2 * np.pi
    towards = slope_x * np.cos(angle) + slope_y * np.sin(angle)
    # Lambert's law for a light 45 degrees above the ground; what faces it fully has 1.4.
    light = (1 + towards) / np.sqrt(1 + slope_x**2 + slope_y**2)
    light = 1 + rng.uniform(0.4, 1.0) * (np.clip(light, 0.0, 1.4) - 1)
    return colour * light[..., None].astype(np.float32)


def grains(size: int, rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Many small things that hide each other: gravel, leaves, a crowd.

    Sizes follow a power law, as in the dead leaves model (Lee, Mumford and Huang, 2001), within
    narrower bounds. Each has a dark side.
    """
    largest = size * 0.008 * np.exp(rng.uniform(0, 2.3))
    smallest = max(0.8, largest * rng.uniform(0.2, 0.8))
    radius = (smallest**-2 + rng.random(GRAINS) * (largest**-2 - smallest**-2)) ** -0.5
    # A tile that they cover about three times.
    side = int(min(size, max(24, np.sqrt(np.pi * np.sum(radius**2) / 3))))
    place = rng.random((GRAINS, 1, 2)) * side
    corners = 4 if rng.random() < 0.3 else 7
    turn = rng.random((GRAINS, 1)) * 2 * np.pi + np.arange(corners) * 2 * np.pi / corners
    length = radius[:, None] * rng.uniform(0.7, 1.2, (GRAINS, corners))
    squash = rng.uniform(0.25, 1.0) * rng.uniform(0.7, 1.3, (GRAINS, 1))
    outline = np.stack([length * np.cos(turn), length * np.sin(turn) * squash], -1)
    lean = rng.normal(0, 1.0) + rng.normal(0, rng.uniform(0.1, 1.5), GRAINS)
    outline = np.einsum("nkc,ncd->nkd", outline, _turns(lean))
    angle = rng.random() * 2 * np.pi
    light = np.array([np.cos(angle), np.sin(angle)]) * 0.35 * radius[:, None, None]
    shades = _shades(GRAINS, rng, colour)
    picture = Image.new("RGB", (side, side), _rgb(colour * 0.4))
    draw = ImageDraw.Draw(picture)
    dark = rng.uniform(0.3, 0.8)
    below, above = place + outline + light, place + outline
    for index in range(GRAINS):
        draw.polygon(below[index].ravel().tolist(), fill=_rgb(shades[index] * dark))
        draw.polygon(above[index].ravel().tolist(), fill=_rgb(shades[index]))
    return _laid_out(picture, size, rng)


def strands(size: int, rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Strokes of about one direction: grass, fur, hair, straw."""
    direction = rng.random() * np.pi + rng.normal(0, rng.uniform(0.05, 0.6), STRANDS)
    length = size * rng.uniform(0.02, 0.15) * rng.uniform(0.5, 1.5, STRANDS)
    start = rng.random((STRANDS, 2)) * size
    along = np.stack([np.cos(direction), np.sin(direction)], -1) * length[:, None]
    ends = np.concatenate([start - along / 2, start + along / 2], -1).tolist()
    widest = 1 + size * rng.uniform(0.0, 0.02)
    widths = rng.uniform(1, 1 + widest, STRANDS).astype(int).tolist()
    shades = _shades(STRANDS, rng, colour)
    picture = Image.new("RGB", (size, size), _rgb(colour * 0.6))
    draw = ImageDraw.Draw(picture)
    for index in range(STRANDS):
        draw.line(ends[index], fill=_rgb(shades[index]), width=widths[index])
    return np.asarray(picture, np.float32) / 255


def receding(surface: np.ndarray, rng: Rng) -> np.ndarray:
    """The surface as a ground that recedes to the top of the picture."""
    size = surface.shape[0]
    step = 1 / np.linspace(rng.uniform(0.15, 0.6), 1.0, size)  # of the surface, for each row
    rows = to_and_fro(np.cumsum(step).astype(int), size)
    columns = (np.arange(size) - size / 2) * step[:, None] + size / 2
    return surface[rows[:, None], to_and_fro(columns.astype(int), size)]


def _shades(count: int, rng: Rng, colour: np.ndarray) -> np.ndarray:
    """`(N, 3)` about a colour, at times with a second one among them."""
    bright = np.exp(rng.normal(0, rng.uniform(0.1, 0.5), (count, 1)))
    shades = colour * bright + rng.normal(0, rng.uniform(0.0, 0.06), (count, 3))
    if rng.random() < 0.25:
        others = rng.random(count) < rng.uniform(0.05, 0.5)
        shades[others] = rng.random(3) * bright[others]
    return shades


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return red, green, blue


def _turns(angles: np.ndarray) -> np.ndarray:
    cosines, sines = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cosines, sines], -1), np.stack([-sines, cosines], -1)], 1)


def _laid_out(tile: Image.Image, size: int, rng: Rng) -> np.ndarray:
    """A tile and its mirror images, bent so that one does not see it, `(S, S, 3)` in 0..1."""
    pixels = np.asarray(tile, np.float32) / 255
    side = pixels.shape[0]
    rows, columns = (to_and_fro(np.arange(size) + rng.integers(2 * side), side) for _ in range(2))
    return displaced(pixels[rows][:, columns], rng, size * rng.uniform(0.02, 0.1))
