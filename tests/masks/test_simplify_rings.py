"""Fewer corners, as Douglas and Peucker drop them."""

import numpy as np
import pytest

from keras_sam.masks.simplify_rings import simplify_rings

NOTCHED = np.array([[0, 0], [10, 0], [10, 4], [9, 5], [10, 6], [10, 10], [4, 10], [3, 7], [0, 10]])


def dropped_one_by_one(ring, tolerance):
    """The recursion of the paper between the kept corners."""
    on_box = np.flatnonzero(((ring == ring.min(0)) | (ring == ring.max(0))).any(1)).tolist()
    kept = set(on_box)

    def split(first, last):
        inner = [index % len(ring) for index in range(first + 1, last)]
        if inner:
            start, piece = ring[first], ring[last % len(ring)] - ring[first]
            share = np.clip((ring[inner] - start) @ piece / max(piece @ piece, 1), 0, 1)
            offset = np.hypot(*(ring[inner] - start - share[:, None] * piece).T)
            if offset.max() > tolerance:
                peak = first + 1 + int(np.argmax(offset))
                kept.add(peak % len(ring))
                split(first, peak)
                split(peak, last)

    for first, last in zip(on_box, [*on_box[1:], on_box[0] + len(ring)], strict=True):
        split(first, last)
    return ring[sorted(kept)]


@pytest.mark.parametrize(("tolerance", "count"), [(0, 9), (0.9, 9), (1, 8), (4, 7)])
def test_notches_are_dropped_by_their_depth(tolerance, count):
    (ring,) = simplify_rings([NOTCHED], tolerance=tolerance)
    assert len(ring) == count


@pytest.mark.parametrize("tolerance", [0.5, 2, 9])
def test_all_at_once_is_as_one_by_one(tolerance):
    random = np.random.default_rng(0)
    rings = [random.integers(0, 40, (count, 2)) for count in random.integers(4, 60, 20)]
    rings = [np.roll(ring, -np.argmin(ring[:, 1]), axis=0) for ring in rings]
    for ring, found in zip(rings, simplify_rings(rings, tolerance=tolerance), strict=True):
        np.testing.assert_array_equal(found, dropped_one_by_one(ring, tolerance))


def test_no_rings():
    assert simplify_rings([], tolerance=1) == []
