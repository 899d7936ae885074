"""`Polygon`: one part of a mask, as an outer ring with holes."""

from dataclasses import dataclass

import numpy as np

from keras_sam.masks.nearest_edge_above import nearest_edge_above


@dataclass(frozen=True, eq=False)
class Polygon:
    """One part of a mask.

    Corners are (x, y) in pixels. Whole numbers are edges between pixels: the first pixel covers
    (0, 0) to (1, 1). The first corner of a ring is not repeated at its end.

    Attributes:
        outer: Outer ring `(N, 2)`, clockwise on the screen.
        holes: Rings `(K, 2)` of the holes, counterclockwise on the screen.
    """

    outer: np.ndarray
    holes: tuple[np.ndarray, ...] = ()

    def to_ring(self) -> np.ndarray:
        """Return the polygon as a single ring `(N, 2)`, for formats without holes.

        A vertical bridge of no width joins the top of each hole to the ring or hole above it.
        The ring passes each bridge once in each direction. Both the even-odd and the nonzero
        rule therefore fill the ring like the polygon.
        """
        return join_rings([self.outer, *self.holes])


def join_rings(rings: list[np.ndarray]) -> np.ndarray:
    """Join rings into one by bridges of no width.

    Args:
        rings: One or more rings `(N, 2)`. A vertical bridge joins the top of each ring but the
            first to the nearest edge above it. Without such an edge, a bridge leads to the first
            corner of the first ring.

    Returns:
        A single ring `(N, 2)`, int64 if all its coordinates are whole numbers.
    """
    if len(rings) == 1:
        return rings[0]
    rings = [rings[0], *(_from_top(ring) for ring in rings[1:])]
    corners = np.concatenate(rings).astype(np.float64)
    ends = np.cumsum([len(ring) for ring in rings])
    firsts = ends[:-1]
    successors = np.arange(1, len(corners) + 1)
    successors[ends - 1] = [0, *firsts]  # closes each ring
    tops = corners[firsts]
    edges, heights = nearest_edge_above(tops, corners, corners[successors])
    feet = np.column_stack([tops[:, 0], heights])
    feet[edges < 0], edges[edges < 0] = corners[0], 0
    nodes = np.concatenate([corners, feet, tops, feet])
    joined = nodes[_walk(successors.tolist(), nodes, edges, firsts)]
    joined = joined[(joined != np.roll(joined, 1, axis=0)).any(axis=1)]
    return joined.astype(np.int64) if (joined % 1 == 0).all() else joined


def _from_top(ring: np.ndarray) -> np.ndarray:
    """Return the same ring, starting at the leftmost of its topmost corners."""
    return np.roll(ring, -np.lexsort((ring[:, 0], ring[:, 1]))[0], axis=0)


def _walk(
    successors: list[int], nodes: np.ndarray, edges: np.ndarray, firsts: np.ndarray
) -> list[int]:
    """Return the order of nodes along all rings and bridges.

    Args:
        successors: Next corner of each corner in its ring.
        nodes: `(C + 3 K, 2)`. The C corners, then the K feet of the bridges (their upper ends),
            the K tops of the joined rings, and the feet again for the way back.
        edges: `(K,)`, corner at the start of the edge that contains the foot of each bridge.
        firsts: `(K,)`, first corner of each ring but the first, which is its top.
    """
    count, bridges = len(successors), len(firsts)
    successors = [*successors, *firsts.tolist()]
    for bridge, last in enumerate([*(firsts[1:] - 1).tolist(), count - 1]):
        successors[last] = count + bridges + bridge
    successors += [count + 2 * bridges + bridge for bridge in range(bridges)] + [0] * bridges
    # Of several bridges on one edge, the farthest is inserted first and the others before it.
    distances = np.abs(nodes[count : count + bridges] - nodes[edges]).sum(axis=1)
    for bridge in np.argsort(-distances, kind="stable").tolist():
        edge = int(edges[bridge])
        successors[count + 2 * bridges + bridge] = successors[edge]
        successors[edge] = count + bridge
    walk = [0]
    while (node := successors[walk[-1]]) != 0:
        walk.append(node)
    return walk
