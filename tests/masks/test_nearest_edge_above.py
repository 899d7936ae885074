"""The nearest edge above a point, against a search of all edges."""

import numpy as np

from keras_sam.masks.nearest_edge_above import nearest_edge_above


def test_slanted_edges():
    random = np.random.default_rng(0)
    starts, ends = random.integers(0, 20, (2, 60, 2))
    points = random.integers(0, 20, (80, 2))
    edges, heights = nearest_edge_above(points, starts, ends)
    for (x, y), edge, height in zip(points, edges, heights, strict=True):
        left, right = np.minimum(starts, ends)[:, 0], np.maximum(starts, ends)[:, 0]
        crossed = np.flatnonzero((left <= x) & (x < right))
        slope = (ends - starts)[crossed]
        at = starts[crossed, 1] + slope[:, 1] / slope[:, 0] * (x - starts[crossed, 0])
        above = at < y - 1e-9
        assert (edge >= 0) == above.any()
        if above.any():
            assert edge in crossed
            np.testing.assert_allclose(height, at[above].max())


def test_no_edges_and_no_points():
    none = np.zeros((0, 2), int)
    edges, heights = nearest_edge_above(np.array([[1, 2]]), none, none)
    assert (edges.tolist(), heights.tolist()) == ([-1], [0])
    assert len(nearest_edge_above(none, np.array([[0, 0]]), np.array([[3, 0]]))[0]) == 0
