"""Point grids for automatic mask generation."""

import numpy as np
import pytest

from keras_sam.masks.point_grid import (
    check_point_grids,
    point_grid,
    points_per_layer,
    subdivide_points,
)


def test_points_are_the_centers_of_cells_row_by_row():
    expected = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    np.testing.assert_array_equal(point_grid(2), expected)


def test_fewer_than_one_point_per_side_raises():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        point_grid(0)


def test_subdivided_points_are_those_of_the_finer_grid():
    size = np.array([90.0, 50.0])
    points = subdivide_points(point_grid(3) * size, size / 3)
    expected = point_grid(6) * size
    np.testing.assert_allclose(sorted(points.tolist()), sorted(expected.tolist()))


def test_each_layer_has_fewer_points():
    assert points_per_layer(32, crop_n_layers=2, downscale_factor=2) == [32, 16, 8]


def test_a_layer_without_points_raises():
    with pytest.raises(ValueError, match=r"points_per_side=3 is too small .* at least 2\*\*2"):
        points_per_layer(3, crop_n_layers=2, downscale_factor=2)


def test_point_grids_become_arrays():
    (grid,) = check_point_grids([[[0, 1], [0.5, 0.25]]], crop_n_layers=0)
    np.testing.assert_array_equal(grid, [[0, 1], [0.5, 0.25]])


@pytest.mark.parametrize("grid", [[[2.0, 0.5]], [[np.nan, 0.5]], [[0.5]], [0.5, 0.5], []])
def test_malformed_point_grids_raise(grid):
    with pytest.raises(ValueError, match=r"points \(P, 2\) \(x, y\) in \[0, 1\]"):
        check_point_grids([grid], crop_n_layers=0)


def test_too_few_point_grids_raise():
    with pytest.raises(ValueError, match="one grid for each of the 2 layers, got 1"):
        check_point_grids([[[0.5, 0.5]]], crop_n_layers=1)
