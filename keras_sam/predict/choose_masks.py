"""`choose_masks`: of many masks for one prompt, the few that best cover what may be meant."""

import numpy as np

SHARPNESS = 6.0  # a mask rated 0.1 higher is 1.8 times as likely what is meant


def choose_masks(
    iou: np.ndarray, iou_predictions: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses masks that differ, and rates them by what the others say as well.

    Each mask stands for something that may be meant, the likelier the better it is rated. The
    first one chosen has the best new rating: the mean of its own, and of the IoU that is expected
    of it if one of the others is meant. Each further one raises most the IoU that is expected of
    the best of those chosen, as in a facility location problem; so what is found twice does not
    take two places.

    Args:
        iou: IoU `(N, N)` of every two masks.
        iou_predictions: ratings `(N,)`.
        count: how many to choose; N at most.

    Returns:
        Indices `(count,)` and new ratings `(count,)`, of which the first is the highest.

    Raises:
        ValueError: if there are fewer masks than `count`.
    """
    if not 1 <= count <= len(iou):
        raise ValueError(f"count must be from 1 to the {len(iou)} masks, got {count}")
    weights = likelihood(iou_predictions)
    # Rate.
    ratings = iou_predictions.astype(float)
    if len(iou) > 1:
        agreement = (iou @ weights - weights) / (1 - weights)  # its IoU with itself is 1
        ratings = (ratings + agreement) / 2
    # Choose.
    chosen = [int(ratings.argmax())]
    while len(chosen) < count:
        covered = iou[:, chosen].max(1)
        expected = weights @ np.maximum(covered[:, None], iou)
        expected[chosen] = -1.0
        chosen.append(int(expected.argmax()))
    return np.array(chosen), ratings[chosen].astype(np.float32)


def likelihood(iou_predictions: np.ndarray) -> np.ndarray:
    """How likely each of some masks is what is meant, by their ratings `(N,)`; sums to 1."""
    weights = np.exp(SHARPNESS * np.clip(iou_predictions.astype(float), 0, 1))
    return weights / weights.sum()
