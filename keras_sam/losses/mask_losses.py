"""Losses between mask logits and ground truth, and their IoU."""

from typing import Any

from keras import ops


def focal_loss(logits: Any, target: Any, *, gamma: float = 2.0, alpha: float | None = 0.25) -> Any:
    """Focal loss (arXiv 1708.02002), averaged over the pixels of each mask.

    Args:
        logits: Mask logits `(..., L, L)`, float32.
        target: Ground-truth masks, 0 or 1, broadcast to the shape of the logits.
        gamma: Focusing exponent. 0 gives cross-entropy.
        alpha: Weight of foreground pixels; background pixels have `1 - alpha`. If `None`, all
            pixels have the weight 1.

    Returns:
        Loss of each mask `(...)`.
    """
    # log(1 + exp(-|x|)) + max(x, 0) - x t is stable for any logit.
    loss = ops.softplus(-ops.abs(logits)) + ops.relu(logits) - logits * target
    if gamma:
        probability = ops.sigmoid(logits)
        error = probability + target - 2.0 * probability * target  # 1 - p of the true class
        loss = loss * ops.power(ops.maximum(error, 1e-6), gamma)
    if alpha is not None:
        loss = loss * (alpha * target + (1.0 - alpha) * (1.0 - target))
    return ops.mean(loss, axis=(-2, -1))


def dice_loss(logits: Any, target: Any) -> Any:
    """Dice loss (arXiv 1606.04797) of each mask: `1 - (2 |p t| + 1) / (|p| + |t| + 1)`.

    Args:
        logits: Mask logits `(..., L, L)`, float32.
        target: Ground-truth masks, 0 or 1, broadcast to the shape of the logits.

    Returns:
        Loss of each mask `(...)`, in [0, 1].
    """
    probability = ops.sigmoid(logits)
    intersection = ops.sum(probability * target, axis=(-2, -1))
    total = ops.sum(probability, axis=(-2, -1)) + ops.sum(target, axis=(-2, -1))
    return 1.0 - (2.0 * intersection + 1.0) / (total + 1.0)


def mask_iou(logits: Any, target: Any) -> Any:
    """IoU of mask logits, thresholded at 0, with ground truth.

    Args:
        logits: Mask logits `(..., L, L)`, float32.
        target: Ground-truth masks, 0 or 1, broadcast to the shape of the logits.

    Returns:
        IoU of each mask `(...)`, in [0, 1]; 0 for two empty masks.
    """
    mask = ops.cast(logits > 0, "float32")
    intersection = ops.sum(mask * target, axis=(-2, -1))
    total = ops.sum(mask, axis=(-2, -1)) + ops.sum(target, axis=(-2, -1))
    return intersection / ops.maximum(total - intersection, 1.0)
