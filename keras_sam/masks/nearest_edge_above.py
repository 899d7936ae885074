"""`nearest_edge_above`: what lies straight above a point, for holes and the rings around them."""

import numpy as np


def nearest_edge_above(
    points: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest edge straight above each of some points.

    An edge counts from its left end up to, but without, its right end, so that one of two that
    share a corner is found.

    Args:
        points: `(K, 2)`, pixels (x, y).
        starts: `(E, 2)`, where each edge begins.
        ends: `(E, 2)`, where it ends.

    Returns:
        Edges `(K,)`, -1 where none is above, and the height y `(K,)` at which each is met.
    """
    columns, column_of_point = np.unique(points[:, 0], return_inverse=True)
    first = np.searchsorted(columns, np.minimum(starts[:, 0], ends[:, 0]))
    last = np.searchsorted(columns, np.maximum(starts[:, 0], ends[:, 0]))
    counts = last - first
    edges = np.repeat(np.arange(len(starts)), counts)
    column = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    (x0, y0), (x1, y1) = starts[edges].T.astype(np.float64), ends[edges].T.astype(np.float64)
    y = y0 + (y1 - y0) / np.where(x1 == x0, 1, x1 - x0) * (columns[column] - x0)

    heights = np.concatenate([y, points[:, 1]])
    lowest = heights.min(initial=0)
    span = heights.max(initial=0) - lowest + 1  # one column's heights never reach the next's
    keys = column * span + y - lowest
    order = np.argsort(keys, kind="stable")
    asked = column_of_point * span + points[:, 1] - lowest
    place = np.searchsorted(keys[order], asked) - 1
    chosen = order[place] if len(order) else np.zeros(len(points), np.intp)
    is_found = place >= 0
    is_found[is_found] = column[chosen[is_found]] == column_of_point[is_found]
    found, height = np.full(len(points), -1), np.zeros(len(points))
    found[is_found], height[is_found] = edges[chosen[is_found]], y[chosen[is_found]]
    return found, height
