"""`mask_to_polygons`: the outline of a mask, along the edges of its pixels."""

import numpy as np

from keras_sam.masks.measures import mask_to_box
from keras_sam.masks.nearest_edge_above import nearest_edge_above
from keras_sam.masks.polygon import Polygon
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.masks.simplify_rings import simplify_rings


def mask_to_polygons(mask: np.ndarray, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """The parts of a mask as polygons with holes, in the order of their first pixels.

    The outline runs along the edges of the pixels, so it is exact: `polygons_to_mask` of the
    rings gives the mask back. Pixels that touch at a corner alone are parts of their own, and no
    ring meets itself: where a hole touches an outline or another hole, both share a corner.

    Args:
        mask: `(H, W)`.
        tolerance: 0 for every corner; else the pixels by which a dropped corner may lie off the
            outline. A simplified outline may cross itself.

    Raises:
        ValueError: if the mask has another shape, or the tolerance is negative or not finite.
    """
    _check_tolerance(tolerance)
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    return _part_to_polygons(np.asarray(mask, bool)[y0:y1, x0:x1], (x0, y0), tolerance)


def runs_to_polygons(runs: RunLengthMask, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """The parts of a mask as polygons; as `mask_to_polygons`, but only its box is drawn.

    Raises:
        ValueError: if the tolerance is negative or not finite.
    """
    _check_tolerance(tolerance)
    return _part_to_polygons(runs_to_mask(runs, runs.box), runs.box[:2], tolerance)


def _check_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a number of pixels of at least 0, got {tolerance}")


def _part_to_polygons(
    mask: np.ndarray, first_corner: tuple[int, int], tolerance: float
) -> tuple[Polygon, ...]:
    """The polygons of a mask's box, which lies somewhere in an image."""
    if not mask.size:
        return ()
    inside = np.pad(mask.astype(np.int8), 1)
    rings = [ring + np.array(first_corner) for ring in _trace(inside)]
    parts, parents = _split_holes(rings)
    rings = simplify_rings(rings, tolerance=tolerance)
    holes: dict[int, list[np.ndarray]] = {part: [] for part in parts}
    for hole, part in parents.items():
        holes[part].append(rings[hole])
    return tuple(Polygon(rings[part], tuple(holes[part])) for part in parts)


def _trace(inside: np.ndarray) -> list[np.ndarray]:
    """Rings `(N, 2)` of corners, each from the leftmost of its topmost, in their order.

    Args:
        inside: `(H + 2, W + 2)` int8, 1 inside the mask, with a border of 0.
    """
    # Along a horizontal edge: 1 with the mask below, -1 with the mask above.
    side = inside[1:, 1:] - inside[:-1, 1:]
    before = inside[1:, :-1] - inside[:-1, :-1]
    y, x = np.nonzero(side != before)
    is_crossing = (side[y, x] != 0) & (before[y, x] != 0)  # pixels touch at a corner alone
    # Two corners lie at a crossing, the end of the left edge and the start of the right one.
    node = np.repeat(np.arange(len(y)), 1 + is_crossing)
    y, x, is_crossing = y[node], x[node], is_crossing[node]
    across = np.arange(len(y)) ^ 1  # horizontal edges join corners two by two
    runs_right = np.repeat(side[y[::2], x[::2]] > 0, 2)
    goes_across = runs_right == (np.arange(len(y)) % 2 == 0)
    along = _vertical_partners(x, y, is_crossing, goes_across)
    corners = np.column_stack([x, y])
    walks = _circles(np.where(goes_across, across, along))
    twice = _met_twice(walks, np.flatnonzero(is_crossing)[::2])
    if len(twice):  # there a ring is cut in two
        along[along[twice]], along[along[twice + 1]] = twice + 1, twice
        along[twice], along[twice + 1] = along[twice + 1], along[twice]
        walks = _circles(np.where(goes_across, across, along))
    return [corners[walk] for walk in walks]


def _vertical_partners(
    x: np.ndarray, y: np.ndarray, is_crossing: np.ndarray, goes_across: np.ndarray
) -> np.ndarray:
    """The other end `(N,)` of the vertical edge of each corner.

    Of two corners at one place, in the order of the columns, the first ends the upper edge. At a
    crossing it is chosen so that each ring goes around one of the two pixels.
    """
    # Left edges that begin at a crossing have their pixel above.
    is_turned = is_crossing & ~goes_across
    rank = np.arange(len(x))
    first_of_two = np.flatnonzero(is_turned)[::2]
    rank[first_of_two], rank[first_of_two + 1] = first_of_two + 1, first_of_two
    order = np.lexsort((rank, y, x))
    partners = np.empty_like(order)
    partners[order[::2]], partners[order[1::2]] = order[1::2], order[::2]
    return partners


def _circles(following: np.ndarray) -> list[list[int]]:
    """Splits corners into the rings that they follow each other in."""
    after = following.tolist()
    is_open = [True] * len(after)
    circles = []
    for start in range(len(after)):
        if is_open[start]:
            circle, node = [], start
            while is_open[node]:
                is_open[node] = False
                circle.append(node)
                node = after[node]
            circles.append(circle)
    return circles


def _met_twice(walks: list[list[int]], crossings: np.ndarray) -> np.ndarray:
    """The crossings `(K,)` that one ring passes twice; each is the first of its two corners."""
    if not len(crossings):
        return crossings
    ring = np.empty(sum(map(len, walks)), np.int64)
    ring[np.concatenate(walks)] = np.repeat(np.arange(len(walks)), [len(walk) for walk in walks])
    return crossings[ring[crossings] == ring[crossings + 1]]


def _split_holes(rings: list[np.ndarray]) -> tuple[list[int], dict[int, int]]:
    """Which rings are outer ones, and hole -> the outer ring of its part."""
    lengths = np.array([len(ring) for ring in rings])
    firsts = np.cumsum(lengths) - lengths
    starts = np.concatenate(rings)
    following = np.arange(1, len(starts) + 1)
    following[firsts + lengths - 1] = firsts
    ends = starts[following]
    # Twice the area; clockwise as seen on the screen is positive where y points down.
    area = np.add.reduceat(starts[:, 0] * ends[:, 1] - ends[:, 0] * starts[:, 1], firsts)
    holes = np.flatnonzero(area < 0)
    edges, _ = nearest_edge_above(starts[firsts[holes]], starts, ends)
    above = np.searchsorted(firsts, edges, side="right") - 1
    owner = np.arange(len(rings))
    owner[holes] = above  # an outer ring, or a hole of the same part higher up
    while (owner != owner[owner]).any():
        owner = owner[owner]
    return np.flatnonzero(area > 0).tolist(), dict(
        zip(holes.tolist(), owner[holes].tolist(), strict=True)
    )
