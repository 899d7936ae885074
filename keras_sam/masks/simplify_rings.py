"""`simplify_rings`: polygons with fewer corners."""

from collections.abc import Sequence

import numpy as np


def simplify_rings(rings: Sequence[np.ndarray], *, tolerance: float) -> list[np.ndarray]:
    """Drop corners of rings with the Douglas-Peucker algorithm.

    Corners on the bounding box of a ring are kept, so that the box stays the same. A mask that
    is cut off by the image border stays flush with it.

    Args:
        rings: Corners `(N, 2)` (x, y) of each ring in pixels. The first is a topmost one.
        tolerance: Maximum distance in pixels of a dropped corner to the new ring. If 0, no
            corner is dropped.

    Returns:
        The kept corners `(K, 2)` of each ring, in the same order.
    """
    if tolerance == 0 or not rings:
        return list(rings)
    corners = np.concatenate(rings)
    lengths = np.array([len(ring) for ring in rings])
    firsts = np.cumsum(lengths) - lengths
    is_kept = _is_on_box(corners, firsts, lengths)
    _keep_far_corners(corners, firsts, is_kept, tolerance)
    kept = np.flatnonzero(is_kept)
    return np.split(corners[kept], np.searchsorted(kept, firsts[1:]))


def _keep_far_corners(
    corners: np.ndarray, firsts: np.ndarray, is_kept: np.ndarray, tolerance: float
) -> None:
    """Set `is_kept` for the corners that the algorithm keeps, for all rings at once.

    Args:
        corners: `(N, 2)`, the rings one after another.
        firsts: `(R,)`, index of the first corner of each ring.
        is_kept: `(N,)`, True for corners that are kept in any case, among them the first ones.
        tolerance: Maximum distance in pixels of a dropped corner.
    """
    kept = np.flatnonzero(is_kept)
    successors = np.append(kept[1:], 0)
    successors[np.searchsorted(kept, firsts) - 1] = np.roll(firsts, 1)
    # Each open corner lies in a section between two kept ones, its start and its end.
    corner = np.flatnonzero(~is_kept)
    section = np.cumsum(is_kept)[corner] - 1
    start, end = kept[section], successors[section]
    while len(corner):
        distance = _distances(corners[corner], corners[start], corners[end])
        is_first = np.diff(start, prepend=-1) != 0
        section = np.cumsum(is_first) - 1
        largest = np.maximum.reduceat(distance, np.flatnonzero(is_first))
        peaks = np.flatnonzero(distance == largest[section])
        peak = corner[peaks[np.unique(section[peaks], return_index=True)[1]]]
        is_split = largest > tolerance
        is_kept[peak[is_split]] = True
        is_open = is_split[section] & (corner != peak[section])
        peak = peak[section[is_open]]
        corner, start, end = corner[is_open], start[is_open], end[is_open]
        start, end = np.where(corner > peak, peak, start), np.where(corner < peak, peak, end)


def _is_on_box(corners: np.ndarray, firsts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return True for each corner `(N,)` on a side of its ring's bounding box."""
    minimum, maximum = (
        np.repeat(extreme.reduceat(corners, firsts), lengths, axis=0)
        for extreme in (np.minimum, np.maximum)
    )
    is_on_side: np.ndarray = ((corners == minimum) | (corners == maximum)).any(axis=1)
    return is_on_side


def _distances(corners: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distance `(N,)` of each corner to the line segment from a start to an end."""
    segments, offsets = ends - starts, corners - starts
    squared_lengths = np.maximum((segments**2).sum(axis=1), 1)
    fractions = np.clip((offsets * segments).sum(axis=1) / squared_lengths, 0, 1)
    distances: np.ndarray = np.hypot(*(offsets - fractions[:, None] * segments).T)
    return distances
