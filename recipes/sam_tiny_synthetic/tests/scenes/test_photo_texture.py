"""Surfaces from pieces of photographs."""

import numpy as np

from recipes.sam_tiny_synthetic.scenes.photo_texture import photo_texture


def test_surfaces_have_texture_and_often_the_given_color():
    color = np.array([0.2, 0.6, 0.4], np.float32)
    surfaces = [photo_texture(48, np.random.default_rng(seed), color) for seed in range(12)]
    assert all(surface.shape == (48, 48, 3) for surface in surfaces)
    assert all(surface.std() > 0.001 for surface in surfaces)
    is_close = [np.abs(surface.mean((0, 1)) - color).max() < 0.1 for surface in surfaces]
    assert 3 <= sum(is_close) < 12  # the others have the photograph's colors
