"""`AffinityLoss`: trains the image encoder alone, before there are prompts."""

from typing import Any

import keras
from keras import ops

from keras_sam.losses.low_res_targets import low_res_targets
from keras_sam.losses.mask_losses import dice_loss, focal_loss, mask_iou
from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss

# Two cells with orthogonal embeddings get a probability of 5 % of being in one object.
LOGIT_OFFSET = 3.0
CELL = 4  # low-res pixels per side of a cell of the embedding grid


class AffinityLoss(SegmentationLoss):
    """Loss of predicting, for each two cells of the embedding grid, if they are in one object.

    The logit is the scaled dot product of their embeddings, minus `LOGIT_OFFSET`. The target is
    the share of the masks at the first cell that contain the second cell too. Every cell is an
    anchor, so one image trains thousands of pairs. Without this phase, a decoder that is trained
    from random weights predicts a blob around each point, almost independent of the image.

    Pass it to `SAMImageSegmenter.compile` as `loss`. Targets are `{"masks": (B, P, H, W)}`, as
    for `InteractiveSegmentationLoss`; more masks per image are better. It reports the metric
    `affinity_iou`: the IoU of the cells similar to an anchor with those that share its mask.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.affinity_iou = keras.metrics.Mean(name="affinity_iou")
        self.built = True

    def compute(
        self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool = True
    ) -> LossResult:
        """Compute the loss of a batch, averaged over the cells inside any mask.

        Args:
            segmenter: `SAMImageSegmenter` to train.
            x: Inputs of the segmenter. Only `images` is used.
            y: Targets `{"masks": (B, P, H, W)}`.
            y_pred: Outputs of the segmenter. If they contain the image embedding, it is used;
                otherwise, the images are encoded.
            training: If True, the images are encoded in training mode.

        Returns:
            The loss, without a prediction.

        Raises:
            ValueError: If there are no masks, or their shape does not fit the low-res grid.
        """
        masks = low_res_targets(y, segmenter.backbone.low_res_size)
        target, num_masks = pairwise_targets(masks)  # (B, T, T), (B, T)
        embedding = self._image_embedding(segmenter, x, y_pred, training=training)
        logits = affinity_logits(embedding["image_embeddings"])  # (B, T, T)
        # Each row of pairs is a mask around its anchor.
        logits, target = logits[:, :, None], target[:, :, None]  # (B, T, 1, T)
        loss = focal_loss(logits, target, gamma=0.0, alpha=None) + dice_loss(logits, target)
        weight = ops.minimum(num_masks, 1.0)
        weight = weight / ops.maximum(ops.sum(weight), 1.0)
        iou = mask_iou(logits, ops.cast(target > 0.5, "float32"))
        self.affinity_iou.update_state(iou, sample_weight=weight)
        return LossResult(ops.sum(loss * weight))


def affinity_logits(embedding: Any) -> Any:
    """Return the logits `(B, T, T)` of all pairs of cells of image embeddings `(B, G, G, D)`."""
    _, height, columns, width = embedding.shape
    cells = ops.reshape(ops.cast(embedding, "float32"), (-1, height * columns, width))
    return ops.matmul(cells, ops.swapaxes(cells, 1, 2)) / width**0.5 - LOGIT_OFFSET


def pairwise_targets(masks: Any) -> tuple[Any, Any]:
    """Compute how much each two cells of the embedding grid share their masks.

    A cell of 4 x 4 low-res pixels may be partly inside a mask.

    Args:
        masks: Masks `(B, P, L, L)`, 0 or 1.

    Returns:
        `(B, T, T)`, the share of the masks at the first cell that contain the second cell, and
        `(B, T)`, the number of masks at a cell.
    """
    _, count, height, width = masks.shape
    rows, columns = height // CELL, width // CELL
    coverage = ops.reshape(masks, (-1, count, rows, CELL, columns, CELL))
    coverage = ops.reshape(ops.mean(coverage, axis=(3, 5)), (-1, count, rows * columns))
    num_masks = ops.sum(coverage, axis=1)
    shared = ops.matmul(ops.swapaxes(coverage, 1, 2), coverage)
    return shared / ops.maximum(num_masks, 1e-6)[..., None], num_masks
