"""Shapes as masks."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.scenes.shapes import (
    draw_contour,
    fill_polygon,
    fill_tube,
    random_placement,
)


def test_a_polygon_contains_its_inside():
    mask = fill_polygon(32, [(4, 6), (20, 6), (20, 26), (4, 26)])
    expected = np.zeros((32, 32), bool)
    expected[6:27, 4:21] = True  # Pillow includes the boundary
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_a_blob_has_the_given_axes(angle):
    rng = np.random.default_rng(0)
    mask = draw_contour(128, rng, 64, 64, 40, roughness=0.0, aspect=0.5, angle=angle)
    rows, columns = (np.count_nonzero(mask.any(axis)) for axis in (1, 0))
    width, height = (columns, rows) if angle == 0 else (rows, columns)
    assert width == pytest.approx(80, rel=0.2)
    assert height == pytest.approx(40, rel=0.2)
    assert mask.sum() == pytest.approx(np.pi * 40 * 20, rel=0.2)


def test_a_tube_runs_through_its_points():
    points = [(10, 10), (50, 20), (30, 55)]
    mask = fill_tube(64, points, 6)
    assert all(mask[y - 1 : y + 2, x - 1 : x + 2].any() for x, y in points)
    assert 0.05 < mask.mean() < 0.2


def test_near_objects_are_larger():
    def radius(depth: float) -> float:
        return random_placement(100, np.random.default_rng(0), depth)[2]

    assert radius(1.0) == pytest.approx(2 * radius(0.0))
