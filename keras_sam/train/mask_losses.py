"""Losses of mask logits, and the IoU that the IoU head learns."""

from typing import Any

from keras import ops


def focal_loss(logits: Any, target: Any, *, gamma: float = 2.0, alpha: float | None = 0.25) -> Any:
    """Focal loss (arXiv 1708.02002), averaged over the pixels of each mask.

    Args:
        logits: `(..., L, L)` float32.
        target: 0 or 1, of a shape that broadcasts to the logits'.
        gamma: exponent; 0 gives cross-entropy.
        alpha: weight of foreground pixels, `1 - alpha` of background; `None` for none.

    Returns:
        `(...)`.
    """
    # log(1 + exp(-|x|)) + max(x, 0) - x t is stable for any logit.
    loss = ops.softplus(-ops.abs(logits)) + ops.relu(logits) - logits * target
    if gamma:
        probability = ops.sigmoid(logits)
        wrong = probability + target - 2.0 * probability * target  # 1 - p of the true class
        loss = loss * ops.power(ops.maximum(wrong, 1e-6), gamma)
    if alpha is not None:
        loss = loss * (alpha * target + (1.0 - alpha) * (1.0 - target))
    return ops.mean(loss, axis=(-2, -1))


def dice_loss(logits: Any, target: Any) -> Any:
    """`1 - (2 |p t| + 1) / (|p| + |t| + 1)` of each mask (arXiv 1606.04797), smoothed by 1.

    Args:
        logits: `(..., L, L)` float32.
        target: 0 or 1, of a shape that broadcasts to the logits'.

    Returns:
        `(...)`, in 0..1.
    """
    probability = ops.sigmoid(logits)
    overlap = ops.sum(probability * target, axis=(-2, -1))
    total = ops.sum(probability, axis=(-2, -1)) + ops.sum(target, axis=(-2, -1))
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)


def mask_iou(logits: Any, target: Any) -> Any:
    """IoU of logits cut at 0 with ground truth, `(...)` in 0..1; 0 for two empty masks."""
    mask = ops.cast(logits > 0, "float32")
    overlap = ops.sum(mask * target, axis=(-2, -1))
    total = ops.sum(mask, axis=(-2, -1)) + ops.sum(target, axis=(-2, -1))
    return overlap / ops.maximum(total - overlap, 1.0)
