"""Objects and their parts."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.scenes import objects
from recipes.sam_tiny_synthetic.scenes.canvas import Canvas

SEEDS = range(20)


def paint(name: str, seed: int) -> list[np.ndarray]:
    canvas = Canvas(64)
    getattr(objects, name)(canvas, np.random.default_rng(seed), 0.8)
    assert np.isfinite(canvas.image).all()
    return canvas.masks


@pytest.mark.parametrize(
    "name",
    ["draw_animal", "draw_blob", "draw_building", "draw_ellipse", "draw_plant", "draw_polygon"],
)
def test_parts_are_inside_their_object(name):
    num_parts = 0
    for seed in SEEDS:
        whole, *parts = paint(name, seed)
        assert not any((part & ~whole).any() for part in parts)
        num_parts += sum(part.any() for part in parts)
    assert num_parts > 3


@pytest.mark.parametrize("name", ["draw_cluster", "draw_tubes"])
def test_repeated_objects_do_not_overlap(name):
    counts = []
    for seed in SEEDS:
        masks = paint(name, seed)
        assert np.sum(masks, axis=0).max() <= 1
        counts.append(len(masks))
    assert max(counts) > 1
