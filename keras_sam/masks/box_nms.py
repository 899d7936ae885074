"""`box_nms`: non-maximum suppression of boxes."""

import numpy as np


def box_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: `(N, 4)` XYXY.
        scores: `(N,)`. Of equal scores, the earlier box comes first.
        threshold: IoU with a kept box above which a box is dropped.

    Returns:
        Indices `(K,)` of the kept boxes, in the order of descending scores.
    """
    boxes = np.asarray(boxes, np.float32)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    remaining = np.argsort(-np.asarray(scores), kind="stable")
    kept = []
    while len(remaining):
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        iou = box_iou(boxes[best], boxes[remaining], areas[best], areas[remaining])
        remaining = remaining[~(iou > threshold)]  # keeps NaN, of two empty boxes
    return np.array(kept, dtype=np.intp)


def box_iou(box: np.ndarray, others: np.ndarray, area: float, areas: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with others.

    Args:
        box: `(4,)` XYXY.
        others: `(N, 4)` XYXY.
        area: Area of `box`.
        areas: `(N,)`, areas of `others`.

    Returns:
        IoU `(N,)` in [0, 1], or NaN if both boxes are empty.
    """
    corner = np.maximum(box[:2], others[:, :2])
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - corner, 0)
    intersection = np.prod(sides, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return intersection / (area + areas - intersection)
