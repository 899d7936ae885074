"""`colour_neighbours`: as few colours as tell neighbours apart."""

import numpy as np


def colour_neighbours(labels: np.ndarray, *, colours: int, gap: int = 1) -> np.ndarray:
    """Gives each label of a map a colour that none of its neighbours has.

    Labels with many neighbours choose first, and each takes the colour that is least used so far
    (Welsh and Powell's order), so that the same map is always coloured the same way.

    Args:
        labels: `(H, W)`, whole numbers of at least 0; 0 is no label.
        colours: how many there are; more are used only where they do not suffice.
        gap: neighbours are labels that pixels of a row or column have at most so far apart.

    Returns:
        The colour `(K + 1,)` of each label up to the greatest, K; the one of 0 means nothing.
    """
    neighbours = _neighbours(labels, gap)
    count = len(neighbours)
    chosen = np.full(count, -1)
    used = np.zeros(colours + count, np.int64)
    used[colours:] = count  # the spare colours come last, in their order
    for label in sorted(range(1, count), key=lambda label: (-len(neighbours[label]), label)):
        taken = {chosen[other] for other in neighbours[label]}
        free = (colour for colour in range(len(used)) if colour not in taken)
        chosen[label] = min(free, key=lambda colour: (used[colour], colour))
        used[chosen[label]] += 1
    chosen[0] = 0
    return chosen


def _neighbours(labels: np.ndarray, gap: int) -> list[list[int]]:
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
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for code in np.unique(np.concatenate(codes)).tolist():
        low, high = divmod(code, count)
        neighbours[low].append(high)
        neighbours[high].append(low)
    return neighbours
