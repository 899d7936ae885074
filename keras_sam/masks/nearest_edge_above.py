"""`nearest_edge_above`: the polygon edge directly above a point, to find the ring around a hole."""

import numpy as np


def nearest_edge_above(
    points: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest edge vertically above each point, where y points down.

    An edge includes its left end but not its right end. Only one of two edges that share a
    corner is therefore above it.

    Args:
        points: `(K, 2)` (x, y) in pixels.
        starts: `(E, 2)`, start of each edge.
        ends: `(E, 2)`, end of each edge.

    Returns:
        Indices `(K,)` of the edges, -1 where there is none, and the y `(K,)` float64 of each edge
        above the point, 0 where there is none.
    """
    # A crossing is a pair of an edge and a column, the x of one or more points.
    columns, column_of_point = np.unique(points[:, 0], return_inverse=True)
    first = np.searchsorted(columns, np.minimum(starts[:, 0], ends[:, 0]))
    last = np.searchsorted(columns, np.maximum(starts[:, 0], ends[:, 0]))
    counts = last - first
    edges = np.repeat(np.arange(len(starts)), counts)
    column = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    (x0, y0), (x1, y1) = starts[edges].T.astype(np.float64), ends[edges].T.astype(np.float64)
    y = y0 + (y1 - y0) / np.where(x1 == x0, 1, x1 - x0) * (columns[column] - x0)

    # One sorted axis for all columns: their ranges of y are placed one after another.
    heights = np.concatenate([y, points[:, 1]])
    lowest = heights.min(initial=0)
    span = heights.max(initial=0) - lowest + 1
    keys = column * span + y - lowest
    order = np.argsort(keys, kind="stable")
    queries = column_of_point * span + points[:, 1] - lowest
    index = np.searchsorted(keys[order], queries) - 1
    nearest = order[index] if len(order) else np.zeros(len(points), np.intp)
    is_found = index >= 0
    is_found[is_found] = column[nearest[is_found]] == column_of_point[is_found]
    found, height = np.full(len(points), -1), np.zeros(len(points))
    found[is_found], height[is_found] = edges[nearest[is_found]], y[nearest[is_found]]
    return found, height
