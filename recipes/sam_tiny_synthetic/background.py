"""`draw_background`: the regions behind all things."""

import numpy as np

from recipes.sam_tiny_synthetic.canvas import Canvas
from recipes.sam_tiny_synthetic.surfaces import (
    random_color,
    random_surface,
    ridge_line,
    smooth_noise,
)

Rng = np.random.Generator


def draw_background(canvas: Canvas, rng: Rng) -> None:
    """Fills the canvas with bands or smooth regions; each is a mask."""
    size = canvas.size
    kind = rng.random()
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None] + np.zeros((1, size), np.float32)
    if kind < 0.5:  # bands: sky, hills, ground
        count = int(rng.integers(1, 5))
        cuts = np.sort(rng.random(count - 1))
        label = np.zeros((size, size), int)
        slope = rng.normal(0, 0.15)
        x = np.linspace(-0.5, 0.5, size, dtype=np.float32)[None]
        for cut in cuts:
            line = cut + slope * x + 0.25 * rng.random() ** 2 * (ridge_line(size, rng) - 0.5)
            label += y > line
    elif kind < 0.85:  # smooth regions
        count = int(rng.integers(2, 6))
        fields = np.stack([smooth_noise(size, rng, 2) for _ in range(count)])
        label = fields.argmax(0)
    else:
        label = np.zeros((size, size), int)
    base = random_color(rng)
    for index in range(label.max() + 1):
        mask = label == index
        if not mask.any():
            continue
        color = base if rng.random() < 0.25 else random_color(rng)
        canvas.image[mask] = random_surface(size, rng, color)[mask]
        canvas.masks.append(mask)
