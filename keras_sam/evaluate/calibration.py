"""Calibration: agreement between predicted and true IoU."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Masks with similar predicted IoU.

    Attributes:
        confidence: Mean predicted IoU.
        iou: Mean true IoU.
        masks: Number of masks.
    """

    confidence: float
    iou: float
    masks: int


def calibration_bins(predicted_iou: np.ndarray, true_iou: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Group masks into ten equal intervals of predicted IoU.

    Args:
        predicted_iou: Predicted IoU `(N,)`. Values outside [0, 1] are put into the outer bins.
        true_iou: True IoU `(N,)`.

    Returns:
        Bins that are not empty, in ascending order.
    """
    index = np.clip((predicted_iou * NUM_BINS).astype(int), 0, NUM_BINS - 1)
    return tuple(
        CalibrationBin(
            confidence=float(predicted_iou[index == bin_index].mean()),
            iou=float(true_iou[index == bin_index].mean()),
            masks=int((index == bin_index).sum()),
        )
        for bin_index in np.unique(index)
    )


def expected_calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Return the mean difference between confidence and IoU, weighted by the number of masks.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017.

    Raises:
        ValueError: If there are no bins.
    """
    if not bins:
        raise ValueError("the calibration error needs at least one mask, got none")
    total = sum(group.masks for group in bins)
    return sum(group.masks * abs(group.confidence - group.iou) for group in bins) / total
