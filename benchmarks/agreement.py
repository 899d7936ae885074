"""`measure_agreement`: the difference between the outputs of two implementations.

It shows whether an implementation is fast only because it is wrong.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

MATCHING_IOU = 0.9  # of masks that count as the same
# Largest accepted difference of arrays, by precision: root mean square of the difference, relative
# to that of the reference. Weights are random, so rounding errors do not cancel as in trained ones.
MAX_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.1, "int8": 0.3}
# Largest accepted fraction of automatic masks without a match. A predicted IoU or a stability
# score next to its threshold may be on either side of it.
MAX_UNMATCHED = {"float32": 0.05, "bfloat16": 0.3, "int8": 0.5}


@dataclass(frozen=True)
class Agreement:
    """Difference between outputs and those of the reference.

    Attributes:
        difference: Relative difference of arrays; for automatic masks, the fraction of masks
            without a match.
        agrees: True if the difference is as small as the precision allows.
        num_masks: Number of masks, for automatic masks.
    """

    difference: float
    agrees: bool
    num_masks: int | None = None


def measure_agreement(outputs: Path, reference: Path, *, precision: str) -> Agreement:
    """Compare the outputs of an implementation with those of the reference.

    Args:
        outputs: `.npz` file of an implementation, from `benchmarks.worker`.
        reference: The same file of the reference.
        precision: Precision of the outputs: "float32", "bfloat16" or "int8".
    """
    with np.load(outputs) as output_file, np.load(reference) as reference_file:
        actual, expected = dict(output_file), dict(reference_file)
    if "masks" in expected:
        unmatched = unmatched_fraction(actual["masks"], expected["masks"])
        agrees = unmatched <= MAX_UNMATCHED[precision]
        return Agreement(unmatched, agrees, num_masks=len(actual["masks"]))
    difference = max(relative_difference(actual[name], expected[name]) for name in expected)
    return Agreement(difference, difference <= MAX_DIFFERENCE[precision])


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the RMS of the difference relative to the RMS of the expected values.

    The result is infinite if the shapes differ or a value is not finite.
    """
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    scale = np.sqrt(np.square(expected).mean())
    return float(np.sqrt(np.square(actual - expected).mean()) / max(scale, 1e-30))


def unmatched_fraction(masks: np.ndarray, others: np.ndarray) -> float:
    """Return the fraction of masks without a match, the larger one of both sets.

    Args:
        masks: Masks `(N, bytes)`, packed by `np.packbits`.
        others: Masks `(K, bytes)`.
    """
    if not len(masks) or not len(others):
        return float(len(masks) != len(others))
    if masks.shape[1] != others.shape[1]:
        return 1.0
    ious = np.stack([packed_ious(other, masks) for other in others])
    return float(max((ious.max(axis=axis) < MATCHING_IOU).mean() for axis in (0, 1)))


def packed_ious(mask: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the IoU `(N,)` of a packed mask `(bytes,)` with others `(N, bytes)`."""
    intersection = np.bitwise_count(masks & mask).sum(axis=1, dtype=np.int64)
    union = np.bitwise_count(masks | mask).sum(axis=1, dtype=np.int64)
    return intersection / np.maximum(union, 1)
