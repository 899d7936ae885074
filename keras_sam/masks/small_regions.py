"""`remove_small_regions`: fills small holes of a mask and drops its small islands."""

import numpy as np


def remove_small_regions(mask: np.ndarray, min_area: float) -> tuple[np.ndarray, bool]:
    """Fills holes, then drops islands, of fewer than `min_area` pixels.

    Pixels that touch at a corner belong together, in holes as in islands. If every island is
    small, the largest stays.

    Args:
        mask: boolean `(H, W)`.
        min_area: in pixels.

    Returns:
        The mask, and whether it differs from the one given.
    """
    regions, sizes = connected_regions(~mask)
    is_small = sizes < min_area
    has_holes = bool(is_small.any())
    if has_holes:
        mask = mask | np.append(False, is_small)[regions]
    regions, sizes = connected_regions(mask)
    is_small = sizes < min_area
    if not is_small.any():
        return mask, has_holes
    is_kept = ~is_small
    if not is_kept.any():
        is_kept[np.argmax(sizes)] = True
    return np.append(False, is_kept)[regions], True


def connected_regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regions of pixels that touch at a side or at a corner.

    The runs of each row are joined with those of the row above; each run then takes the least
    number among those that it is joined with, until none changes.

    Args:
        mask: boolean `(H, W)`.

    Returns:
        A label for each pixel `(H, W)`, 0 outside the mask and 1 and up by the first pixel in
        row-major order, and the number of pixels of each label from 1 on.
    """
    mask = np.asarray(mask, bool)
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]  # behind the last pixel of each run
    roots = _joined(len(rows), *_touching_runs(rows, starts, ends, width))
    _, labels = np.unique(roots, return_inverse=True)
    sizes = np.bincount(labels, weights=ends - starts).astype(np.int64)
    pixels = np.zeros((height, width), np.int32)
    pixels[mask] = np.repeat(labels + 1, ends - starts)
    return pixels, sizes


def _touching_runs(
    rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs `(run, run above)`, corners included."""
    pitch = width + 2  # so that places of two rows never mix
    above_rows = (rows - 1) * pitch
    first = np.searchsorted(rows * pitch + ends, above_rows + starts, side="left")
    last = np.searchsorted(rows * pitch + starts, above_rows + ends, side="right")
    counts = np.maximum(last - first, 0)
    runs = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(len(runs)) - np.repeat(np.cumsum(counts) - counts, counts)
    return runs, np.repeat(first, counts) + offsets


def _joined(count: int, runs: np.ndarray, above: np.ndarray) -> np.ndarray:
    """For each run the first of those that it is joined with."""
    roots = np.arange(count)
    while True:
        lower = np.minimum(roots[runs], roots[above])
        joined = roots.copy()
        np.minimum.at(joined, roots[runs], lower)
        np.minimum.at(joined, roots[above], lower)
        joined = joined[joined]
        if np.array_equal(joined, roots):
            return roots
        roots = joined
