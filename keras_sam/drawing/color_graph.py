"""`color_graph`: as few colors as tell neighbors apart."""

import numpy as np


def color_graph(labels: np.ndarray, *, colors: int, gap: int = 1) -> np.ndarray:
    """Gives each label of a map a color that none of its neighbors has.

    Labels with many neighbors choose first, and each takes the color that is least used so far
    (Welsh and Powell's order), so that the same map is always colored the same way.

    Args:
        labels: `(H, W)`, whole numbers of at least 0; 0 is no label.
        colors: how many there are; more are used only where they do not suffice.
        gap: neighbors are labels that pixels of a row or column have at most so far apart.

    Returns:
        The color `(K + 1,)` of each label up to the greatest, K; the one of 0 means nothing.
    """
    neighbors = _neighbors(labels, gap)
    count = len(neighbors)
    chosen = np.full(count, -1)
    used = np.zeros(colors + count, np.int64)
    used[colors:] = count  # the spare colors come last, in their order
    for label in sorted(range(1, count), key=lambda label: (-len(neighbors[label]), label)):
        taken = {chosen[other] for other in neighbors[label]}
        free = (color for color in range(len(used)) if color not in taken)
        chosen[label] = min(free, key=lambda color: (used[color], color))
        used[chosen[label]] += 1
    chosen[0] = 0
    return chosen


def _neighbors(labels: np.ndarray, gap: int) -> list[list[int]]:
    """The labels near each label, up to the greatest."""
    count = int(labels.max()) + 1
    codes = []
    # Doubled shifts see every gap that is narrower than the labels on both sides together.
    for shift in sorted({gap, *(2**power for power in range(gap.bit_length()) if 2**power <= gap)}):
        for one, other in (
            (labels[shift:], labels[:-shift]),
            (labels[:, shift:], labels[:, :-shift]),
        ):
            is_pair = (one != other) & (one != 0) & (other != 0)
            low, high = np.minimum(one, other)[is_pair], np.maximum(one, other)[is_pair]
            codes.append(np.unique(low.astype(np.int64) * count + high))
    neighbors: list[list[int]] = [[] for _ in range(count)]
    for code in np.unique(np.concatenate(codes)).tolist():
        low, high = divmod(code, count)
        neighbors[low].append(high)
        neighbors[high].append(low)
    return neighbors
