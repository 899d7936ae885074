"""`agreement`: whether a contender's outputs are those of the reference, so that none is fast by
being wrong.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAME_MASK = 0.9  # IoU
# Of arrays the root mean square of the difference, as a share of that of the reference. Weights are
# random: nothing evens out what a type rounds.
LARGEST_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.1, "int8": 0.3}
# Of everything mode the share of masks that the other side has not: a rating or a stability score
# next to its threshold falls on one side or the other.
LARGEST_MISSING = {"float32": 0.05, "bfloat16": 0.3, "int8": 0.5}


@dataclass(frozen=True)
class Agreement:
    """How far outputs are from those of the reference.

    Attributes:
        difference: of arrays as a share of their size, of everything mode the share of masks
            that one side has and the other has not.
        agrees: whether it is as small as the type lets one expect.
        masks: how many were found, in everything mode.
    """

    difference: float
    agrees: bool
    masks: int | None = None


def agreement(found: Path, expected: Path, *, dtype: str) -> Agreement:
    """Compares the files of two contenders.

    Args:
        found: a file of `benchmarks.worker`.
        expected: that of the reference.
        dtype: of what was found.
    """
    with np.load(found) as left, np.load(expected) as right:
        ours, theirs = dict(left), dict(right)
    if "masks" in theirs:
        missing = missing_share(ours["masks"], theirs["masks"])
        return Agreement(missing, missing <= LARGEST_MISSING[dtype], masks=len(ours["masks"]))
    difference = max(relative_difference(ours[name], theirs[name]) for name in theirs)
    return Agreement(difference, difference <= LARGEST_DIFFERENCE[dtype])


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference over that of what was expected; infinite if not alike."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    size = np.sqrt(np.square(expected).mean())
    return float(np.sqrt(np.square(found - expected).mean()) / max(size, 1e-30))


def missing_share(found: np.ndarray, expected: np.ndarray) -> float:
    """Of two sets of packed masks `(N, bytes)`, the larger share that the other has not."""
    if not len(found) or not len(expected):
        return float(len(found) != len(expected))
    if found.shape[1] != expected.shape[1]:
        return 1.0
    ious = np.stack([mask_ious(mask, found) for mask in expected])
    return float(max((ious.max(axis=axis) < SAME_MASK).mean() for axis in (0, 1)))


def mask_ious(mask: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """IoU of a packed mask with each of others."""
    both = np.bitwise_count(masks & mask).sum(axis=1, dtype=np.int64)
    either = np.bitwise_count(masks | mask).sum(axis=1, dtype=np.int64)
    return both / np.maximum(either, 1)
