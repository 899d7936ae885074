"""`draw_scene`: a procedural scene with exact masks at every level."""

from dataclasses import dataclass

import numpy as np

from recipes.sam_tiny_synthetic.background import draw_background
from recipes.sam_tiny_synthetic.camera import photograph
from recipes.sam_tiny_synthetic.canvas import Canvas
from recipes.sam_tiny_synthetic.regions import draw_regions
from recipes.sam_tiny_synthetic.scene_objects import (
    draw_animal,
    draw_blob,
    draw_building,
    draw_cluster,
    draw_ellipse,
    draw_plant,
    draw_polygon,
    draw_tubes,
)

MAX_MASKS = 32
REGIONS_PROBABILITY = 0.55  # that a scene is cut into regions, with few things in front
MIN_SHARE, MAX_SHARE = 0.003, 0.7  # of the image, for a mask to be kept
# What stands in a scene; a kind that is named more often is drawn more often.
KINDS = [
    draw_blob,
    draw_blob,
    draw_blob,
    draw_ellipse,
    draw_polygon,
    draw_animal,
    draw_animal,
    draw_building,
    draw_plant,
    draw_cluster,
    draw_tubes,
]


@dataclass(frozen=True)
class Scene:
    """An image and its masks.

    Attributes:
        image: `(S, S, 3)` uint8 RGB.
        bits: `(S, S)` uint32; bit k is set where the pixel belongs to mask k. Masks may nest.
        count: number of masks.
    """

    image: np.ndarray
    bits: np.ndarray
    count: int

    def masks(self) -> np.ndarray:
        """All masks, boolean `(count, S, S)`."""
        return (self.bits[None] >> np.arange(self.count, dtype=np.uint32)[:, None, None]) & 1 > 0


def draw_scene(seed: int, size: int = 256) -> Scene:
    """Draws a scene: regions of background, objects in depth order, light, and a camera.

    Args:
        seed: any non-negative integer; the same seed and size give the same scene.
        size: side of the image in pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(size)
    if rng.random() < REGIONS_PROBABILITY:
        draw_regions(canvas, rng)
        things = int(rng.integers(0, 5))
    else:
        draw_background(canvas, rng)
        things = int(rng.integers(2, 13))
    for _ in range(things):
        draw = KINDS[rng.integers(len(KINDS))]
        depth = 0.35 + 0.65 * rng.random()
        draw(canvas, rng, depth)
    image = photograph(canvas.image, rng)
    return _pack(image, canvas.masks)


def _pack(image: np.ndarray, masks: list[np.ndarray]) -> Scene:
    size = image.shape[0]
    shares = [mask.mean() for mask in masks]
    kept = [m for m, share in zip(masks, shares, strict=True) if MIN_SHARE < share < MAX_SHARE]
    kept = sorted(kept, key=lambda m: -int(m.sum()))[:MAX_MASKS]
    bits = np.zeros((size, size), np.uint32)
    for index, mask in enumerate(kept):
        bits |= mask.astype(np.uint32) << np.uint32(index)
    return Scene(image=image, bits=bits, count=len(kept))
