"""Blobs, polygons and curves as masks."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Rng = np.random.Generator


def random_placement(size: int, rng: Rng, depth: float) -> tuple[float, float, float]:
    """Choose the center (x, y) and the radius of an object.

    Args:
        size: Side of the image in pixels.
        rng: Random number generator.
        depth: Nearness, in [0, 1]. Nearer objects are larger.
    """
    radius = size * (0.05 + 0.33 * rng.random() ** 1.5) * (0.6 + 0.6 * depth)
    return size * rng.uniform(-0.02, 1.02), size * rng.uniform(0.05, 1.02), radius


def draw_contour(
    size: int,
    rng: Rng,
    cx: float,
    cy: float,
    radius: float,
    *,
    roughness: float = 0.3,
    aspect: float | None = None,
    angle: float | None = None,
) -> np.ndarray:
    """Draw a blob: a circle with random harmonics, squeezed and rotated.

    Args:
        size: Side of the image in pixels.
        rng: Random number generator.
        cx: Center x.
        cy: Center y.
        radius: Mean radius before squeezing.
        roughness: Strength of the harmonics, in [0, 1].
        aspect: Ratio of the two axes, in (0, 1]; random if `None`.
        angle: Rotation in radians; random if `None`.

    Returns:
        Boolean mask `(S, S)`.
    """
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    r = np.ones_like(t)
    for k in range(2, 12):
        amplitude = (0.08 + 0.5 * roughness) / k
        r += amplitude * rng.normal() * np.cos(k * t + rng.random() * 6.3)
    r = radius * np.clip(r, 0.2, 2.0)
    aspect = 0.4 + 0.6 * rng.random() if aspect is None else aspect
    angle = rng.random() * np.pi if angle is None else angle
    u, v = r * np.cos(t), r * np.sin(t) * aspect
    x = cx + u * np.cos(angle) - v * np.sin(angle)
    y = cy + u * np.sin(angle) + v * np.cos(angle)
    return fill_polygon(size, list(zip(x, y, strict=True)))


def fill_polygon(size: int, points: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the inside of a polygon, boolean `(S, S)`."""
    image = Image.new("1", (size, size))
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(image)


def fill_tube(size: int, points: Sequence[Sequence[float]], width: float) -> np.ndarray:
    """Draw a smooth curve through at least two points.

    Args:
        size: Side of the image in pixels.
        points: Points (x, y).
        width: Width of the curve in pixels; at least 2 are drawn.

    Returns:
        Boolean mask `(S, S)`.
    """
    knots = np.asarray(points, np.float64)
    t = np.linspace(0, len(knots) - 1, 24)
    base = np.minimum(t.astype(int), len(knots) - 2)
    f = (t - base)[:, None]
    f = f * f * (3 - 2 * f) * 0.5 + f * 0.5
    curve = knots[base] * (1 - f) + knots[base + 1] * f
    image = Image.new("1", (size, size))
    draw = ImageDraw.Draw(image)
    draw.line([tuple(p) for p in curve], fill=1, width=max(2, int(width)), joint="curve")
    return np.asarray(image)
