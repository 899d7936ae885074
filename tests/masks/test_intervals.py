"""Unions of intervals and run lengths, against boolean arrays."""

import numpy as np

from keras_sam.masks.intervals import counts_to_mask, intervals_to_counts, merge_intervals


def test_merged_intervals_are_those_of_a_boolean_array():
    random = np.random.default_rng(0)
    for count in range(12):
        starts = random.integers(0, 40, count)
        ends = starts + random.integers(1, 8, count)
        covered = np.zeros(50, bool)
        for start, end in zip(starts, ends, strict=True):
            covered[start:end] = True
        changes = np.flatnonzero(np.diff(covered.astype(int), prepend=0))
        merged = merge_intervals(starts, ends)
        np.testing.assert_array_equal(np.column_stack(merged).ravel(), changes)


def test_intervals_that_touch_are_merged():
    starts, ends = merge_intervals(np.array([3, 0]), np.array([5, 3]))
    assert (starts.tolist(), ends.tolist()) == ([0], [5])


def test_counts_alternate_between_background_and_foreground():
    counts = intervals_to_counts(np.array([0, 4]), np.array([1, 6]), total=6)
    assert counts.tolist() == [0, 1, 3, 2, 0]
    np.testing.assert_array_equal(counts_to_mask(counts, (2, 3)), [[1, 0, 1], [0, 0, 1]])
    assert intervals_to_counts(np.array([], int), np.array([], int), total=6).tolist() == [6]
