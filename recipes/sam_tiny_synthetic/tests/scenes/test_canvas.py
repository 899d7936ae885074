"""Painting objects."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.scenes import canvas as canvas_module
from recipes.sam_tiny_synthetic.scenes.canvas import Canvas


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((32, 32), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_an_object_in_front_takes_pixels_of_those_behind(rng):
    canvas = Canvas(32)
    white = np.ones((32, 32, 3))
    canvas.paint(square(4, 4, 16), white, rng=rng, parts=[square(4, 4, 30)])
    canvas.paint(square(8, 8, 8), white, rng=rng)
    behind, part, front = canvas.masks
    np.testing.assert_array_equal(front, square(8, 8, 8))
    np.testing.assert_array_equal(behind, square(4, 4, 16) & ~front)
    np.testing.assert_array_equal(part, behind)  # parts end at their object


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_shadows_fall_outside_the_object(rng, monkeypatch, probability):
    monkeypatch.setattr(canvas_module, "SHADOW_PROBABILITY", probability)
    canvas = Canvas(32)
    canvas.image += 0.5
    canvas.paint(square(10, 10, 10), np.full((32, 32, 3), 0.9), rng=rng)
    np.testing.assert_allclose(canvas.image[12:18, 12:18], 0.9, atol=1e-6)
    outside = canvas.image[~square(9, 9, 12)]
    assert outside.max() <= 0.5 + 1e-6
    assert (outside.min() < 0.45) == bool(probability)
