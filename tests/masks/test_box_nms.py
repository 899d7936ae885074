"""Non-maximum suppression against a loop over pairs."""

import numpy as np
import pytest

from keras_sam.masks.box_nms import box_nms


def nms_by_loop(boxes, scores, threshold):
    kept = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        if all(iou(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return kept


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - width * height
    return width * height / union if union else 0.0


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_equals_a_loop(threshold):
    random = np.random.default_rng(0)
    corners = random.integers(0, 40, (60, 2))
    boxes = np.concatenate([corners, corners + random.integers(0, 30, (60, 2))], axis=1)
    scores = random.integers(0, 5, 60) / 4  # many equal ones, of which the earlier comes first
    assert box_nms(boxes, scores, threshold).tolist() == nms_by_loop(boxes, scores, threshold)


def test_no_boxes():
    assert box_nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
