"""Of many masks for one prompt, the few that best cover what may be meant."""

import numpy as np

SHARPNESS = 6.0  # a mask rated 0.1 higher is 1.8 times as likely what is meant


def likelihood(iou_predictions: np.ndarray) -> np.ndarray:
    """How likely each of some masks is what is meant, by their ratings `(N,)`; sums to 1."""
    weights = np.exp(SHARPNESS * np.clip(iou_predictions.astype(float), 0, 1))
    return weights / weights.sum()


def rescore_by_agreement(iou: np.ndarray, iou_predictions: np.ndarray) -> np.ndarray:
    """Ratings by what the other masks say as well.

    A mask's is the mean of its own, and of the IoU that is expected of it if one of the others is
    meant, the likelier the better that one is rated.

    Args:
        iou: IoU `(N, N)` of every two masks.
        iou_predictions: ratings `(N,)`; a single mask keeps its own.

    Returns:
        New ratings `(N,)`.
    """
    if len(iou) == 1:
        return iou_predictions.astype(float)
    weights = likelihood(iou_predictions)
    agreement = (iou @ weights - weights) / (1 - weights)  # its IoU with itself is 1
    return (iou_predictions + agreement) / 2


def select_diverse_masks(
    iou: np.ndarray,
    iou_predictions: np.ndarray,
    count: int,
    *,
    first: int,
    covered: np.ndarray,
) -> np.ndarray:
    """Chooses masks that differ.

    Each one behind the first raises most the IoU that is expected of the best of those chosen, as
    in a facility location problem; so what is found twice does not take two places.

    Args:
        iou: IoU `(N, N)` of every two masks.
        iou_predictions: ratings `(N,)`: the likelier a mask is meant.
        count: how many to choose; N at most.
        first: the one that is chosen already.
        covered: IoU `(N,)` of all with what is shown in its place.

    Returns:
        Indices `(count,)`.

    Raises:
        ValueError: if there are fewer masks than `count`.
    """
    if not 1 <= count <= len(iou):
        raise ValueError(f"count must be from 1 to the {len(iou)} masks, got {count}")
    weights = likelihood(iou_predictions)
    chosen = [first]
    while len(chosen) < count:
        expected = weights @ np.maximum(covered[:, None], iou)
        expected[chosen] = -1.0
        chosen.append(int(expected.argmax()))
        covered = np.maximum(covered, iou[:, chosen[-1]])
    return np.array(chosen)
