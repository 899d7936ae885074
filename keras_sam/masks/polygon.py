"""`Polygon`: an outline with holes, and the one ring that other formats make of it."""

from dataclasses import dataclass

import numpy as np

from keras_sam.masks.nearest_edge_above import nearest_edge_above


@dataclass(frozen=True, eq=False)
class Polygon:
    """One part of a mask.

    Corners are pixels (x, y) of the image, where whole numbers are edges between pixels: the
    first pixel reaches from (0, 0) to (1, 1). A ring is not closed by a repeated corner.

    Attributes:
        outer: `(N, 2)`, clockwise as seen on the screen.
        holes: `(K, 2)` each, counter-clockwise.
    """

    outer: np.ndarray
    holes: tuple[np.ndarray, ...] = ()

    def to_ring(self) -> np.ndarray:
        """The polygon as one ring `(N, 2)`, for formats without holes.

        Each hole is reached by a bridge straight up from its top, to the ring around it or a hole
        above, and left by the same bridge. There and back cancel, so both the even-odd and the
        nonzero rule fill the ring as they fill the polygon.
        """
        return join_rings([self.outer, *self.holes])


def join_rings(rings: list[np.ndarray]) -> np.ndarray:
    """Joins rings `(N, 2)` by bridges of no width into one.

    Args:
        rings: one or more. Each but the first is tied to what lies straight above its top, or to
            the first ring's first corner.
    """
    if len(rings) == 1:
        return rings[0]
    rings = [rings[0], *(_from_top(ring) for ring in rings[1:])]
    corners = np.concatenate(rings).astype(np.float64)
    ends = np.cumsum([len(ring) for ring in rings])
    firsts = ends[:-1]
    following = np.arange(1, len(corners) + 1)
    following[ends - 1] = [0, *firsts]  # each ring runs in a circle
    tops = corners[firsts]
    edges, heights = nearest_edge_above(tops, corners, corners[following])
    feet = np.column_stack([tops[:, 0], heights])
    feet[edges < 0], edges[edges < 0] = corners[0], 0
    nodes = np.concatenate([corners, feet, tops, feet])
    walk = _walk(following.tolist(), nodes, edges, firsts)
    joined = nodes[walk]
    joined = joined[(joined != np.roll(joined, 1, axis=0)).any(axis=1)]
    return joined.astype(np.int64) if (joined % 1 == 0).all() else joined


def _from_top(ring: np.ndarray) -> np.ndarray:
    """The same ring, beginning at the leftmost of its topmost corners."""
    return np.roll(ring, -np.lexsort((ring[:, 0], ring[:, 1]))[0], axis=0)


def _walk(
    following: list[int], nodes: np.ndarray, edges: np.ndarray, firsts: np.ndarray
) -> list[int]:
    """The order of nodes in which all rings and bridges are passed.

    Args:
        following: the corner after each, in its ring.
        nodes: `(C + 3 K, 2)`: all corners, then for each bridge its foot, its top and its foot
            again, as they are passed on the way back.
        edges: `(K,)`, the corner where the edge begins to which each bridge is tied.
        firsts: `(K,)`, the top corner of each ring but the first.
    """
    count, bridges = len(following), len(firsts)
    following = [*following, *firsts.tolist()]
    for bridge, last in enumerate([*(firsts[1:] - 1).tolist(), count - 1]):
        following[last] = count + bridges + bridge
    following += [count + 2 * bridges + bridge for bridge in range(bridges)] + [0] * bridges
    # Of several on one edge the farthest is set in first, the others before it.
    along = np.abs(nodes[count : count + bridges] - nodes[edges]).sum(axis=1)
    for bridge in np.argsort(-along, kind="stable").tolist():
        edge = int(edges[bridge])
        following[count + 2 * bridges + bridge] = following[edge]
        following[edge] = count + bridge
    walk = [0]
    while (node := following[walk[-1]]) != 0:
        walk.append(node)
    return walk
