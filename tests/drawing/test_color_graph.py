"""No two neighbors of one color."""

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
    colors = color_graph(labels, colors=9, gap=gap)
    for shift in {1, gap}:
        pairs = ((labels[shift:], labels[:-shift]), (labels[:, shift:], labels[:, :-shift]))
        for one, other in pairs:
            is_pair = (one != other) & (one != 0) & (other != 0)
            assert (colors[one] != colors[other])[is_pair].all()


def test_few_colors_suffice_and_all_are_used():
    colors = color_graph(voronoi(60), colors=9)[1:]
    assert set(colors) == set(range(9))


def test_more_are_used_where_they_do_not_suffice():
    """Six labels, each of which borders on each other."""
    rows = [np.stack([np.full(6, label), np.arange(1, 7)]) for label in range(1, 7)]
    colors = color_graph(np.concatenate(rows), colors=2)
    assert sorted(colors[1:]) == list(range(6))


def test_the_same_map_is_colored_the_same_way():
    labels = voronoi(30)
    first = color_graph(labels, colors=9)
    np.testing.assert_array_equal(first, color_graph(labels.copy(), colors=9))


def test_empty_maps_and_single_pixels():
    assert len(color_graph(np.zeros((3, 4), int), colors=9)) == 1
    assert color_graph(np.ones((1, 1), int), colors=9).tolist() == [0, 0]
