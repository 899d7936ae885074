"""`select_diverse_masks`: the few masks that best cover the meanings of an ambiguous prompt."""

import numpy as np

INVERSE_TEMPERATURE = 6.0  # a score higher by 0.1 makes a mask 1.8 times as likely


def select_diverse_masks(iou: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """Select masks that differ from each other.

    The first mask has the highest score. Each further one maximizes the expected IoU between
    the intended mask and the best selected one, where a softmax of the scores gives the
    probability that a mask is the intended one. This is the greedy solution of a facility
    location problem (Nemhauser, Wolsey and Fisher, 1978).

    Args:
        iou: IoU `(N, N)` of every two masks.
        scores: Scores `(N,)`, in [0, 1].
        count: Number of masks to select, at most N.

    Returns:
        Indices `(count,)`.

    Raises:
        ValueError: If there are fewer masks than `count`.
    """
    if not 1 <= count <= len(scores):
        raise ValueError(f"count must be in 1..{len(scores)}, the number of masks; got {count}")
    weights = np.exp(INVERSE_TEMPERATURE * np.clip(scores, 0, 1))
    selected = [int(np.argmax(scores))]
    best_iou = iou[:, selected[0]]
    while len(selected) < count:
        expected = weights @ np.maximum(best_iou[:, None], iou)
        expected[selected] = -1.0
        selected.append(int(expected.argmax()))
        best_iou = np.maximum(best_iou, iou[:, selected[-1]])
    return np.array(selected)
