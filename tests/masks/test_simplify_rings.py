"""Simplified rings against the recursive Douglas-Peucker algorithm."""

import numpy as np
import pytest

from keras_sam.masks.simplify_rings import simplify_rings

NOTCHED = np.array([[0, 0], [10, 0], [10, 4], [9, 5], [10, 6], [10, 10], [4, 10], [3, 7], [0, 10]])


def simplified_recursively(ring, tolerance):
    """The recursion of the paper, between the corners on the bounding box."""
    on_box = np.flatnonzero(((ring == ring.min(0)) | (ring == ring.max(0))).any(1)).tolist()
    kept = set(on_box)

    def split(first, last):
        inner = [index % len(ring) for index in range(first + 1, last)]
        if inner:
            start, segment = ring[first], ring[last % len(ring)] - ring[first]
            fraction = np.clip((ring[inner] - start) @ segment / max(segment @ segment, 1), 0, 1)
            distance = np.hypot(*(ring[inner] - start - fraction[:, None] * segment).T)
            if distance.max() > tolerance:
                peak = first + 1 + int(np.argmax(distance))
                kept.add(peak % len(ring))
                split(first, peak)
                split(peak, last)

    for first, last in zip(on_box, [*on_box[1:], on_box[0] + len(ring)], strict=True):
        split(first, last)
    return ring[sorted(kept)]


@pytest.mark.parametrize(("tolerance", "count"), [(0, 9), (0.9, 9), (1, 8), (4, 7)])
def test_corners_are_dropped_up_to_the_tolerance(tolerance, count):
    (ring,) = simplify_rings([NOTCHED], tolerance=tolerance)
    assert len(ring) == count


@pytest.mark.parametrize("tolerance", [0.5, 2, 9])
def test_equals_the_recursive_algorithm(tolerance):
    random = np.random.default_rng(0)
    rings = [random.integers(0, 40, (count, 2)) for count in random.integers(4, 60, 20)]
    rings = [np.roll(ring, -np.argmin(ring[:, 1]), axis=0) for ring in rings]
    for ring, simplified in zip(rings, simplify_rings(rings, tolerance=tolerance), strict=True):
        np.testing.assert_array_equal(simplified, simplified_recursively(ring, tolerance))


def test_no_rings():
    assert simplify_rings([], tolerance=1) == []
