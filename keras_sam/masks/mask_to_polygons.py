"""`mask_to_polygons`: the exact boundary of a mask, along the edges of its pixels."""

import numpy as np

from keras_sam.masks.measures import mask_to_box
from keras_sam.masks.nearest_edge_above import nearest_edge_above
from keras_sam.masks.polygon import Polygon
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.masks.simplify_rings import simplify_rings


def mask_to_polygons(mask: np.ndarray, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """Convert a mask to polygons with holes, one for each of its parts.

    With `tolerance=0`, the rings follow the edges of the pixels exactly, and `polygons_to_mask`
    restores the mask. Pixels that touch only at a corner belong to different parts. No ring
    touches itself. Where a hole touches the outer ring or another hole, both have that corner.

    Args:
        mask: Mask `(H, W)`.
        tolerance: Maximum distance in pixels of a dropped corner to the simplified ring. If 0,
            all corners are kept. A simplified ring may cross itself.

    Returns:
        Polygons in the row-major order of their first pixels.

    Raises:
        ValueError: If the mask has another shape, or the tolerance is negative or not finite.
    """
    _check_tolerance(tolerance)
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    return _crop_to_polygons(np.asarray(mask, bool)[y0:y1, x0:x1], (x0, y0), tolerance)


def runs_to_polygons(runs: RunLengthMask, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """Convert runs to polygons with holes, like `mask_to_polygons`.

    Only the pixels inside the bounding box of the mask are decoded.

    Args:
        runs: Mask of an image of any size.
        tolerance: Maximum distance in pixels of a dropped corner to the simplified ring. If 0,
            all corners are kept.

    Raises:
        ValueError: If the tolerance is negative or not finite.
    """
    _check_tolerance(tolerance)
    return _crop_to_polygons(runs_to_mask(runs, runs.box), runs.box[:2], tolerance)


def _check_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number of at least 0, got {tolerance}")


def _crop_to_polygons(
    mask: np.ndarray, origin: tuple[int, int], tolerance: float
) -> tuple[Polygon, ...]:
    """Convert a mask cropped to its bounding box, whose first corner (x, y) is the origin."""
    if not mask.size:
        return ()
    rings = [ring + np.array(origin) for ring in _trace(np.pad(mask.astype(np.int8), 1))]
    outer_rings, outer_of_hole = _find_holes(rings)
    rings = simplify_rings(rings, tolerance=tolerance)
    holes: dict[int, list[np.ndarray]] = {outer: [] for outer in outer_rings}
    for hole, outer in outer_of_hole.items():
        holes[outer].append(rings[hole])
    return tuple(Polygon(rings[outer], tuple(holes[outer])) for outer in outer_rings)


def _trace(inside: np.ndarray) -> list[np.ndarray]:
    """Trace all rings of a mask.

    Args:
        inside: `(H + 2, W + 2)` int8, 1 inside the mask, with a border of 0.

    Returns:
        Corners `(N, 2)` (x, y) of each ring, from the leftmost of its topmost corners. The rings
        are in the row-major order of these corners.
    """
    # The horizontal edges to the right and to the left of each corner: 1 where the mask is below
    # the edge, -1 where it is above, 0 where there is no edge.
    right = inside[1:, 1:] - inside[:-1, 1:]
    left = inside[1:, :-1] - inside[:-1, :-1]
    y, x = np.nonzero(right != left)
    is_crossing = (right[y, x] != 0) & (left[y, x] != 0)  # two pixels touch at this corner alone
    # A crossing becomes two corners: the end of the left edge and the start of the right edge.
    node = np.repeat(np.arange(len(y)), 1 + is_crossing)
    y, x, is_crossing = y[node], x[node], is_crossing[node]
    # In row-major order, horizontal edges join the corners two by two.
    horizontal = np.arange(len(y)) ^ 1
    goes_right = np.repeat(right[y[::2], x[::2]] > 0, 2)
    leaves_horizontally = goes_right == (np.arange(len(y)) % 2 == 0)
    vertical = _vertical_neighbors(x, y, is_crossing, leaves_horizontally)
    corners = np.column_stack([x, y])
    rings = _cycles(np.where(leaves_horizontally, horizontal, vertical))
    twice = _passed_twice(rings, np.flatnonzero(is_crossing)[::2])
    if len(twice):  # split the ring there
        vertical[vertical[twice]], vertical[vertical[twice + 1]] = twice + 1, twice
        vertical[twice], vertical[twice + 1] = vertical[twice + 1], vertical[twice]
        rings = _cycles(np.where(leaves_horizontally, horizontal, vertical))
    return [corners[ring] for ring in rings]


def _vertical_neighbors(
    x: np.ndarray, y: np.ndarray, is_crossing: np.ndarray, leaves_horizontally: np.ndarray
) -> np.ndarray:
    """Return the other end `(N,)` of the vertical edge at each corner.

    In column-major order, vertical edges join the corners two by two. Of the two corners of a
    crossing, the first in that order belongs to the upper edge. It is chosen such that each ring
    goes around one of the two pixels.
    """
    # A left edge that starts at a crossing has its pixel above it.
    is_swapped = is_crossing & ~leaves_horizontally
    rank = np.arange(len(x))
    first_of_two = np.flatnonzero(is_swapped)[::2]
    rank[first_of_two], rank[first_of_two + 1] = first_of_two + 1, first_of_two
    order = np.lexsort((rank, y, x))
    neighbors = np.empty_like(order)
    neighbors[order[::2]], neighbors[order[1::2]] = order[1::2], order[::2]
    return neighbors


def _cycles(successors: np.ndarray) -> list[list[int]]:
    """Split corners into rings, given the next corner `(N,)` of each."""
    following = successors.tolist()
    is_open = [True] * len(following)
    cycles = []
    for start in range(len(following)):
        if is_open[start]:
            cycle, node = [], start
            while is_open[node]:
                is_open[node] = False
                cycle.append(node)
                node = following[node]
            cycles.append(cycle)
    return cycles


def _passed_twice(rings: list[list[int]], crossings: np.ndarray) -> np.ndarray:
    """Return the crossings `(K,)` that one ring passes twice.

    Args:
        rings: Indices of the corners of each ring.
        crossings: First of the two corners of each crossing.
    """
    if not len(crossings):
        return crossings
    ring_of = np.empty(sum(map(len, rings)), np.int64)
    ring_of[np.concatenate(rings)] = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    return crossings[ring_of[crossings] == ring_of[crossings + 1]]


def _find_holes(rings: list[np.ndarray]) -> tuple[list[int], dict[int, int]]:
    """Return the indices of the outer rings, and for each hole the index of its outer ring."""
    lengths = np.array([len(ring) for ring in rings])
    firsts = np.cumsum(lengths) - lengths
    starts = np.concatenate(rings)
    successors = np.arange(1, len(starts) + 1)
    successors[firsts + lengths - 1] = firsts
    ends = starts[successors]
    # Twice the signed area. Where y points down, it is positive for rings clockwise on the screen.
    area = np.add.reduceat(starts[:, 0] * ends[:, 1] - ends[:, 0] * starts[:, 1], firsts)
    holes = np.flatnonzero(area < 0)
    edges, _ = nearest_edge_above(starts[firsts[holes]], starts, ends)
    owner = np.arange(len(rings))
    # The ring above a hole is its outer ring or a higher hole of the same part.
    owner[holes] = np.searchsorted(firsts, edges, side="right") - 1
    while (owner != owner[owner]).any():
        owner = owner[owner]
    return np.flatnonzero(area > 0).tolist(), dict(
        zip(holes.tolist(), owner[holes].tolist(), strict=True)
    )
