"""Neighboring labels have different colors."""

import numpy as np
import pytest

from keras_sam.drawing.color_graph import color_graph

RANDOM = np.random.default_rng(0)


def voronoi(count, size=(60, 80)):
    seeds = RANDOM.uniform(0, size, (count, 2))
    y, x = np.mgrid[: size[0], : size[1]]
    return np.argmin((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2, axis=-1)


@pytest.mark.parametrize("gap", [1, 3, 5])
def test_neighbors_differ(gap):
    labels = voronoi(40)
    labels[labels % 7 == 0] = 0
    colors = color_graph(labels, num_colors=9, gap=gap)
    for shift in {1, gap}:
        pairs = ((labels[shift:], labels[:-shift]), (labels[:, shift:], labels[:, :-shift]))
        for first, second in pairs:
            is_pair = (first != second) & (first != 0) & (second != 0)
            assert (colors[first] != colors[second])[is_pair].all()


def test_all_of_few_colors_are_used():
    colors = color_graph(voronoi(60), num_colors=9)[1:]
    assert set(colors) == set(range(9))


def test_more_colors_are_used_where_needed():
    """Each of six labels borders on all others."""
    rows = [np.stack([np.full(6, label), np.arange(1, 7)]) for label in range(1, 7)]
    colors = color_graph(np.concatenate(rows), num_colors=2)
    assert sorted(colors[1:]) == list(range(6))


def test_colors_are_deterministic():
    labels = voronoi(30)
    first = color_graph(labels, num_colors=9)
    np.testing.assert_array_equal(first, color_graph(labels.copy(), num_colors=9))


def test_empty_map_and_single_pixel():
    assert len(color_graph(np.zeros((3, 4), int), num_colors=9)) == 1
    assert color_graph(np.ones((1, 1), int), num_colors=9).tolist() == [0, 0]
