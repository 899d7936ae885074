"""Foreground as intervals of pixels, numbered down the columns of an image from left to right."""

import numpy as np

from keras_sam.types import Size


def merge_intervals(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge intervals that overlap or touch.

    Args:
        starts: `(N,)` int64, first pixel of each interval, in any order.
        ends: `(N,)` int64, exclusive end of each interval, greater than its start.

    Returns:
        Starts `(K,)` and ends `(K,)` of the merged intervals, ascending.
    """
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    is_first, is_last = np.ones((2, len(starts)), bool)
    is_first[1:] = is_last[:-1] = starts[1:] > ends[:-1]
    return starts[is_first], ends[is_last]


def intervals_to_counts(starts: np.ndarray, ends: np.ndarray, *, total: int) -> np.ndarray:
    """Convert intervals to the lengths of alternating background and foreground runs.

    Args:
        starts: `(N,)` int64, first pixel of each interval, ascending.
        ends: `(N,)` int64, exclusive end of each interval. Intervals do not overlap.
        total: Number of pixels of the image.

    Returns:
        Counts `(2 N + 1,)` int64 that add up to `total`. The first and the last count are of
        background.
    """
    changes = np.column_stack([starts, ends]).ravel()
    counts: np.ndarray = np.diff(changes, prepend=0, append=total)
    return counts


def counts_to_mask(counts: np.ndarray, size: Size) -> np.ndarray:
    """Convert the lengths of alternating background and foreground runs to pixels.

    Args:
        counts: `(R,)` int64, at least 0, with a sum of `height * width`. The first is background.
        size: `(height, width)` of the mask.

    Returns:
        Boolean mask `(H, W)`. Its columns are contiguous in memory.
    """
    height, width = size
    is_foreground = np.arange(len(counts)) % 2 == 1
    mask: np.ndarray = np.repeat(is_foreground, counts).reshape(width, height).T
    return mask
