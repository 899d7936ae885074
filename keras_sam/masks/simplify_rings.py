"""`simplify_rings`: outlines with fewer corners."""

from collections.abc import Sequence

import numpy as np


def simplify_rings(rings: Sequence[np.ndarray], *, tolerance: float) -> list[np.ndarray]:
    """Drops corners of rings as Douglas and Peucker do, all stretches of all rings at once.

    Corners on the sides of a ring's box are kept, so that the box stays the same, and a mask that
    is cut off by the image's border stays flush with it.

    Args:
        rings: corners `(N, 2)` of each, pixels (x, y), the first of them a topmost one.
        tolerance: pixels by which a dropped corner may lie off the new ring; 0 drops none.

    Returns:
        Some of the corners `(K, 2)` of each, in their order.
    """
    if tolerance == 0 or not rings:
        return list(rings)
    corners = np.concatenate(rings)
    lengths = np.array([len(ring) for ring in rings])
    firsts = np.cumsum(lengths) - lengths
    is_kept = _is_on_box(corners, firsts, lengths)
    kept = np.flatnonzero(is_kept)
    following = np.append(kept[1:], 0)
    following[np.searchsorted(kept, firsts) - 1] = np.roll(firsts, 1)
    # Each corner that is left lies in a stretch between two kept ones.
    left = np.flatnonzero(~is_kept)
    stretch = np.cumsum(is_kept)[left] - 1
    start, end = kept[stretch], following[stretch]
    while len(left):
        offset = _offsets(corners[left], corners[start], corners[end])
        is_first = np.diff(start, prepend=-1) != 0
        stretch = np.cumsum(is_first) - 1
        farthest = np.maximum.reduceat(offset, np.flatnonzero(is_first))
        peaks = np.flatnonzero(offset == farthest[stretch])
        peak = left[peaks[np.unique(stretch[peaks], return_index=True)[1]]]
        is_cut = farthest > tolerance
        is_kept[peak[is_cut]] = True
        goes_on = is_cut[stretch] & (left != peak[stretch])
        peak = peak[stretch[goes_on]]
        left, start, end = left[goes_on], start[goes_on], end[goes_on]
        start, end = np.where(left > peak, peak, start), np.where(left < peak, peak, end)
    kept = np.flatnonzero(is_kept)
    return np.split(corners[kept], np.searchsorted(kept, firsts[1:]))


def _is_on_box(corners: np.ndarray, firsts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Whether each corner `(N,)` lies on a side of its ring's box."""
    sides = (
        np.repeat(extreme.reduceat(corners, firsts), lengths, axis=0)
        for extreme in (np.minimum, np.maximum)
    )
    least, most = sides
    is_on_side: np.ndarray = ((corners == least) | (corners == most)).any(axis=1)
    return is_on_side


def _offsets(corners: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance `(N,)` of each corner to the straight piece between a start and an end."""
    piece, way = ends - starts, corners - starts
    length = np.maximum((piece**2).sum(axis=1), 1)
    share = np.clip((way * piece).sum(axis=1) / length, 0, 1)
    offset: np.ndarray = np.hypot(*(way - share[:, None] * piece).T)
    return offset
