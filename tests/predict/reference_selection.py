"""The selection of diverse masks, written plainly, with masks as arrays."""

import math


def iou(mask, other):
    """Return the IoU of two boolean masks."""
    return float((mask & other).sum() / (mask | other).sum())


def expected_iou(masks, scores, selected):
    """Return the expected IoU between the intended mask and the best selected one."""
    weights = [math.exp(6 * min(1, max(0, score))) for score in scores]
    best = [max(iou(mask, masks[index]) for index in selected) for mask in masks]
    return sum(map(math.prod, zip(weights, best, strict=True))) / sum(weights)


def select_greedily(masks, scores, count):
    """Return the index of the highest score, then of each mask that adds most."""
    selected = [max(range(len(masks)), key=lambda index: scores[index])]
    while len(selected) < count:
        remaining = [index for index in range(len(masks)) if index not in selected]
        selected.append(
            max(remaining, key=lambda index: expected_iou(masks, scores, [*selected, index]))
        )
    return selected
