"""`box_nms`: of boxes that overlap, the one with the highest score."""

import numpy as np


def box_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: `(N, 4)` XYXY.
        scores: `(N,)`; of equal scores the earlier box comes first.
        threshold: a box whose IoU with a kept one is larger is dropped.

    Returns:
        Indices of the kept boxes, by falling score.
    """
    boxes = np.asarray(boxes, np.float32)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[~(box_iou(boxes[best], boxes[left], areas[best], areas[left]) > threshold)]
    return np.array(kept, dtype=np.intp)


def box_iou(box: np.ndarray, others: np.ndarray, area: float, areas: np.ndarray) -> np.ndarray:
    """IoU `(N,)` of a box `(4,)` with others `(N, 4)`; NaN where both are empty."""
    corner = np.maximum(box[:2], others[:, :2])
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - corner, 0)
    shared = np.prod(sides, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return shared / (area + areas - shared)
