"""Points of everything mode."""

import numpy as np

from keras_sam.masks.point_grid import point_grid, points_per_layer, subdivide_points


def test_points_are_centers_of_cells_row_by_row():
    expected = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    np.testing.assert_array_equal(point_grid(2), expected)


def test_finer_points_are_the_next_grid():
    size = np.array([90.0, 50.0])
    found = subdivide_points(point_grid(3) * size, size / 3)
    expected = point_grid(6) * size
    np.testing.assert_allclose(sorted(found.tolist()), sorted(expected.tolist()))


def test_each_layer_has_its_sides():
    assert points_per_layer(32, crop_n_layers=2, downscale_factor=2) == [32, 16, 8]
