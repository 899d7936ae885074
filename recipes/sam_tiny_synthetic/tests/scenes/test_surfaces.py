"""Colors, textures and light."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.scenes import surfaces
from recipes.sam_tiny_synthetic.scenes.surfaces import (
    paste,
    random_color,
    random_noise,
    random_surface,
    shade,
    smooth_noise,
)


def test_surfaces_have_about_the_given_color(monkeypatch):
    monkeypatch.setattr(surfaces, "PHOTO_PROBABILITY", 0.0)
    color = np.array([0.2, 0.6, 0.4], np.float32)
    drawn = [random_surface(48, np.random.default_rng(seed), color) for seed in range(20)]
    assert all(surface.shape == (48, 48, 3) for surface in drawn)
    assert all(surface.std((0, 1)).max() > 0.001 for surface in drawn)
    errors = [np.abs(surface.mean((0, 1)) - color).max() for surface in drawn]
    assert np.median(errors) < 0.05


def test_light_is_a_gradient_over_the_object():
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    colors = np.full((32, 32, 3), 0.5)
    shaded = shade(colors, mask, np.random.default_rng(0))
    assert shaded[mask].mean() == pytest.approx(0.5, abs=0.01)
    assert shaded[mask].std() > 0.01
    np.testing.assert_allclose(shade(colors, mask, np.random.default_rng(0), 0.0), colors)


def test_pasting_changes_the_inside_of_a_mask():
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    image = paste(np.zeros((16, 16, 3)), mask, np.ones((16, 16, 3)))
    np.testing.assert_allclose(image[5:11, 5:11], 1)
    np.testing.assert_allclose(image[:3], 0)
    assert 0.5 < image[4, 8, 0] < 1  # antialiased


def test_colors_and_noise_are_in_their_ranges():
    rng = np.random.default_rng(0)
    colors = np.stack([random_color(rng) for _ in range(200)])
    assert 0.02 <= colors.min() < colors.max() <= 1
    noise = smooth_noise(32, rng, 2)
    assert noise.min() == 0
    assert noise.max() == pytest.approx(1, abs=1e-4)
    many = np.stack([random_noise(32, rng) for _ in range(100)])
    assert abs(many.mean()) < 0.2
    assert many.std() == pytest.approx(1, abs=0.2)
