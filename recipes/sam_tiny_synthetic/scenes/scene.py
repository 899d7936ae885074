"""`draw_scene`: a procedural scene with exact masks of objects and their parts."""

from dataclasses import dataclass

import numpy as np

from recipes.sam_tiny_synthetic.scenes.backgrounds import draw_background, draw_regions
from recipes.sam_tiny_synthetic.scenes.canvas import Canvas
from recipes.sam_tiny_synthetic.scenes.objects import (
    draw_animal,
    draw_blob,
    draw_building,
    draw_cluster,
    draw_ellipse,
    draw_plant,
    draw_polygon,
    draw_tubes,
)
from recipes.sam_tiny_synthetic.scenes.simulate_camera import simulate_camera

MAX_MASKS = 32  # the number of bits of a uint32
REGIONS_PROBABILITY = 0.55  # of a scene that consists of regions, with few objects in front
MIN_MASK_AREA, MAX_MASK_AREA = 0.003, 0.7  # of a mask, as a share of the image
# Kinds of objects. One that is listed more often is drawn more often.
OBJECTS = [
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
        image: RGB image `(S, S, 3)`, uint8.
        mask_bits: `(S, S)`, uint32. Bit k is set if the pixel belongs to mask k. Masks may nest.
        num_masks: Number of masks.
    """

    image: np.ndarray
    mask_bits: np.ndarray
    num_masks: int

    def masks(self) -> np.ndarray:
        """Return all masks, boolean `(num_masks, S, S)`."""
        bits = np.arange(self.num_masks, dtype=np.uint32)[:, None, None]
        return (self.mask_bits[None] >> bits) & 1 > 0


def pack_scene(image: np.ndarray, masks: list[np.ndarray]) -> Scene:
    """Create a scene from an image `(S, S, 3)` and at most `MAX_MASKS` masks `(S, S)`."""
    mask_bits = np.zeros(image.shape[:2], np.uint32)
    for index, mask in enumerate(masks):
        mask_bits |= mask.astype(np.uint32) << np.uint32(index)
    return Scene(image=image, mask_bits=mask_bits, num_masks=len(masks))


def draw_scene(seed: int, size: int = 256) -> Scene:
    """Draw a scene: a background, objects from back to front, light, and a camera.

    Args:
        seed: Non-negative integer. The same seed and size give the same scene.
        size: Side of the image in pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(size)
    if rng.random() < REGIONS_PROBABILITY:
        draw_regions(canvas, rng)
        num_objects = int(rng.integers(0, 5))
    else:
        draw_background(canvas, rng)
        num_objects = int(rng.integers(2, 13))
    for _ in range(num_objects):
        draw_object = OBJECTS[rng.integers(len(OBJECTS))]
        depth = 0.35 + 0.65 * rng.random()
        draw_object(canvas, rng, depth)
    image = simulate_camera(canvas.image, rng)
    return pack_scene(image, _usable_masks(canvas.masks))


def _usable_masks(masks: list[np.ndarray]) -> list[np.ndarray]:
    """Return the masks of usable size, the largest first."""
    usable = [mask for mask in masks if MIN_MASK_AREA < mask.mean() < MAX_MASK_AREA]
    return sorted(usable, key=lambda mask: -int(mask.sum()))[:MAX_MASKS]
