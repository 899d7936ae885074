"""`calibrate`: how far a model's ratings of its masks can be believed."""

from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Masks whose ratings lie close together.

    Attributes:
        rating: their mean rating.
        iou: their mean true IoU; where the two are equal, ratings can be believed.
        masks: their number.
    """

    rating: float
    iou: float
    masks: int


def calibrate(ratings: np.ndarray, ious: np.ndarray) -> tuple[CalibrationBin, ...]:
    """Sorts masks into tenths by their ratings; those below 0 and above 1 go to the ends.

    Args:
        ratings: `(N,)`, the IoU that the model predicts of each mask.
        ious: `(N,)`, the true one.

    Returns:
        The tenths that have masks, least rating first.
    """
    number = np.clip((ratings * BINS).astype(int), 0, BINS - 1)
    return tuple(
        CalibrationBin(
            rating=float(ratings[number == index].mean()),
            iou=float(ious[number == index].mean()),
            masks=int((number == index).sum()),
        )
        for index in np.unique(number)
    )


def expected_calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """The mean distance between rating and IoU of the bins, weighted by their masks."""
    masks = sum(one.masks for one in bins)
    return sum(one.masks * abs(one.rating - one.iou) for one in bins) / masks
