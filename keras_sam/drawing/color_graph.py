"""`color_graph`: few colors, different for neighboring masks."""

import numpy as np


def color_graph(labels: np.ndarray, *, num_colors: int, gap: int = 1) -> np.ndarray:
    """Assign a color index to each label so that neighbors have different colors.

    Labels with many neighbors are colored first (the order of Welsh and Powell). Each label takes
    the allowed color that is least used so far. The result is deterministic.

    Args:
        labels: Label map `(H, W)`, integers of at least 0. 0 is the background.
        num_colors: Number of colors. More are used only where these do not suffice.
        gap: Maximum distance in pixels, along a row or a column, between neighbors.

    Returns:
        Color index `(K + 1,)` of each label up to the largest label K. The entry of the background
        has no meaning.
    """
    neighbors = _neighbors(labels, gap)
    count = len(neighbors)
    colors = np.full(count, -1)
    num_uses = np.zeros(num_colors + count, np.int64)
    num_uses[num_colors:] = count  # extra colors come last
    for label in sorted(range(1, count), key=lambda label: (-len(neighbors[label]), label)):
        taken = {colors[neighbor] for neighbor in neighbors[label]}
        allowed = (color for color in range(len(num_uses)) if color not in taken)
        colors[label] = min(allowed, key=lambda color: (num_uses[color], color))
        num_uses[colors[label]] += 1
    colors[0] = 0
    return colors


def _neighbors(labels: np.ndarray, gap: int) -> list[list[int]]:
    """Return the labels near each label, up to the largest label."""
    count = int(labels.max()) + 1
    codes = []
    # Doubled shifts find every gap that is narrower than the labels on both sides together.
    for shift in sorted({gap, *(2**power for power in range(gap.bit_length()) if 2**power <= gap)}):
        for first, second in (
            (labels[shift:], labels[:-shift]),
            (labels[:, shift:], labels[:, :-shift]),
        ):
            is_pair = (first != second) & (first != 0) & (second != 0)
            low, high = np.minimum(first, second)[is_pair], np.maximum(first, second)[is_pair]
            codes.append(np.unique(low.astype(np.int64) * count + high))
    neighbors: list[list[int]] = [[] for _ in range(count)]
    for code in np.unique(np.concatenate(codes)).tolist():
        low, high = divmod(code, count)
        neighbors[low].append(high)
        neighbors[high].append(low)
    return neighbors
