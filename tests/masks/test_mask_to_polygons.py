"""Polygons of masks: exact, with the parts and holes that SciPy finds."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from keras_sam.masks.mask_to_polygons import mask_to_polygons, runs_to_polygons
from keras_sam.masks.measures import mask_to_box
from keras_sam.masks.polygons_to_mask import polygons_to_mask
from keras_sam.masks.run_length_mask import mask_to_runs

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
# A pixel inside a ring inside a ring.
RINGS = np.abs(np.mgrid[-4:5, -4:5]).max(axis=0) % 2 == 0


def doubled_area(ring):
    x, y = ring.T
    return np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def check_rings(mask):
    polygons = mask_to_polygons(mask)
    back = polygons_to_mask([polygon.to_ring() for polygon in polygons], mask.shape)
    np.testing.assert_array_equal(back, mask)
    parts, count = ndimage.label(mask)
    assert len(polygons) == count
    for polygon in polygons:
        part = polygons_to_mask([polygon.to_ring()], mask.shape)
        np.testing.assert_array_equal(part, parts == parts[part].min())
        rings = (polygon.outer, *polygon.holes)
        assert doubled_area(polygon.outer) > 0
        assert all(doubled_area(hole) < 0 for hole in polygon.holes)
        assert sum(map(doubled_area, rings)) == 2 * np.count_nonzero(part)
        for ring in rings:
            assert len(np.unique(ring, axis=0)) == len(ring)  # does not touch itself
            steps = np.roll(ring, -1, axis=0) - ring
            assert (np.count_nonzero(steps, axis=1) == 1).all()
            assert (np.count_nonzero(steps[::2], axis=0) == 0).any()  # turns at each corner


@given(MASKS)
@settings(deadline=None, max_examples=300)
def test_any_mask_is_restored(mask):
    check_rings(mask)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.6, 0.8, 0.97])
def test_large_masks_are_restored(share):
    random = np.random.default_rng(0)
    mask = random.random((60, 70)) < share
    check_rings(mask)
    check_rings(ndimage.binary_dilation(mask, iterations=2))


@pytest.mark.parametrize("value", [1, 2, 255, -1, 0.5])
def test_nonzero_values_are_inside(value):
    (polygon,) = mask_to_polygons(np.full((2, 3), value))
    np.testing.assert_array_equal(polygon.outer, [[0, 0], [3, 0], [3, 2], [0, 2]])


def test_one_pixel():
    (polygon,) = mask_to_polygons(np.ones((1, 1)))
    np.testing.assert_array_equal(polygon.outer, [[0, 0], [1, 0], [1, 1], [0, 1]])
    assert polygon.holes == ()


def test_an_empty_mask():
    assert mask_to_polygons(np.zeros((3, 4), bool)) == ()


def test_an_island_in_a_hole_is_a_separate_part():
    outer, inner, pixel = mask_to_polygons(RINGS)
    assert [len(polygon.holes) for polygon in (outer, inner, pixel)] == [1, 1, 0]
    check_rings(RINGS)


def test_pixels_that_touch_at_a_corner_are_separate_parts():
    first, second = mask_to_polygons(np.eye(2, dtype=bool))
    np.testing.assert_array_equal(first.outer, [[0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_array_equal(second.outer, first.outer + 1)


def test_a_hole_that_touches_the_outer_ring_stays_a_hole():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[0, 0] = False
    (polygon,) = mask_to_polygons(mask)
    (hole,) = polygon.holes
    np.testing.assert_array_equal(hole, [[1, 1], [1, 2], [2, 2], [2, 1]])
    assert [1, 1] in polygon.outer.tolist()


def test_simplification_keeps_the_box():
    y, x = np.mgrid[:200, :240]
    mask = np.hypot(x - 120, y - 100) < 90
    (exact,), (simple,) = mask_to_polygons(mask), mask_to_polygons(mask, tolerance=1.5)
    assert len(simple.outer) < len(exact.outer) / 5
    back = polygons_to_mask([simple.outer], mask.shape)
    np.testing.assert_array_equal(mask_to_box(back), mask_to_box(mask))
    assert np.count_nonzero(back ^ mask) < 0.01 * np.count_nonzero(mask)
    for corner in exact.outer:
        assert distance_to_ring(corner, simple.outer) <= 1.5


@given(MASKS, st.floats(0.1, 20))
@settings(deadline=None, max_examples=100)
def test_simplification_keeps_every_part_and_hole(mask, tolerance):
    exact, simple = mask_to_polygons(mask), mask_to_polygons(mask, tolerance=tolerance)
    for polygon, simplified in zip(exact, simple, strict=True):
        rings = zip(
            (polygon.outer, *polygon.holes), (simplified.outer, *simplified.holes), strict=True
        )
        for corners, kept in rings:
            assert len(kept) >= 4
            assert {tuple(corner) for corner in kept} <= {tuple(corner) for corner in corners}
            assert all(distance_to_ring(corner, kept) <= tolerance for corner in corners)
        assert simplified.to_ring().ndim == 2


def test_runs_give_the_polygons_of_their_mask():
    mask = np.random.default_rng(0).random((20, 30)) < 0.6
    far = mask_to_runs(mask).shifted(300_000, 400_000)
    for polygon, shifted in zip(mask_to_polygons(mask), runs_to_polygons(far), strict=True):
        for ring, other in zip(
            (polygon.outer, *polygon.holes), (shifted.outer, *shifted.holes), strict=True
        ):
            np.testing.assert_array_equal(ring + np.array([300_000, 400_000]), other)


def distance_to_ring(corner, ring):
    ends = np.roll(ring, -1, axis=0)
    fraction = ((corner - ring) * (ends - ring)).sum(1) / ((ends - ring) ** 2).sum(1)
    nearest = ring + np.clip(fraction, 0, 1)[:, None] * (ends - ring)
    return np.hypot(*(corner - nearest).T).min() - 1e-9


def test_a_mask_of_three_megapixels_takes_at_most_seconds():
    random = np.random.default_rng(0)
    noise = ndimage.zoom(random.standard_normal((60, 80)), 25, order=1)
    mask = noise > 0
    started = time.perf_counter()
    mask_to_polygons(mask)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf])
def test_an_invalid_tolerance_raises(tolerance):
    with pytest.raises(ValueError, match="tolerance must be"):
        mask_to_polygons(np.ones((2, 2)), tolerance=tolerance)
    with pytest.raises(ValueError, match="tolerance must be"):
        runs_to_polygons(mask_to_runs(np.ones((2, 2))), tolerance=tolerance)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3)])
def test_another_shape_raises(shape):
    with pytest.raises(ValueError, match="shape"):
        mask_to_polygons(np.ones(shape))
