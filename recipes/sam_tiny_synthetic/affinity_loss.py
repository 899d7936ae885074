"""`AffinityLoss`: teaches the image encoder alone, before there are prompts."""

from typing import Any

import keras
from keras import ops

from keras_sam.train.interactive_loss import masks_to_low_res
from keras_sam.train.mask_losses import dice_loss, focal_loss, mask_iou

OFFSET = 3.0  # two cells whose embeddings have nothing in common are probably of two objects


class AffinityLoss(keras.layers.Layer):
    """Asks of each two cells of the embedding grid whether they lie in one object.

    The dot product of their embeddings, over the root of their width, is the logit; the target
    is the share of the masks at the first cell that hold the second too. Every cell is an
    anchor, so one image teaches thousands of pairs. Without it, a decoder trained from nothing
    answers a click with a blob around it and hardly looks at the image.

    Pass it to `SAMImageSegmenter.compile` as `loss`, with the targets of `InteractiveSegmentationLoss`; the
    more masks of an image are given, the better.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.affinity_iou = keras.metrics.Mean(name="affinity_iou")
        self.built = True

    def compute(self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool = True) -> Any:
        """The loss of a batch, averaged over the cells that any mask holds; a float32 scalar.

        Args:
            segmenter: a `SAMImageSegmenter`.
            x: its inputs; only `images` is read.
            y: `{"masks": (B, P, H, W)}`, as for `InteractiveSegmentationLoss`.
            y_pred: its outputs; `image_embeddings` is taken from them when there.
            training: whether gradients are wanted.

        Raises:
            ValueError: if `y` holds no masks that fit the low-res grid.
        """
        truth = masks_to_low_res(y, segmenter.backbone.low_res_size)
        embeddings = y_pred.get("image_embeddings") if isinstance(y_pred, dict) else None
        if embeddings is None:
            embeddings = segmenter.encode_image(x["images"])
        width = embeddings.shape[-1]
        cells = embeddings.shape[1] * embeddings.shape[2]
        embeddings = ops.reshape(ops.cast(embeddings, "float32"), (-1, cells, width))
        logits = ops.matmul(embeddings, ops.swapaxes(embeddings, 1, 2)) / width**0.5 - OFFSET
        target, held = shared_masks(truth)
        # Each row of pairs is a mask around its anchor.
        logits, target = logits[:, :, None], target[:, :, None]  # (B, T, 1, T)
        loss = focal_loss(logits, target, gamma=0.0, alpha=None) + dice_loss(logits, target)
        weight = ops.minimum(held, 1.0)
        weight = weight / ops.maximum(ops.sum(weight), 1.0)
        self.affinity_iou.update_state(
            mask_iou(logits, ops.cast(target > 0.5, "float32")), sample_weight=weight
        )
        return ops.sum(loss * weight)


def shared_masks(masks: Any) -> tuple[Any, Any]:
    """What cells of the embedding grid share.

    Args:
        masks: `(B, P, L, L)`, 0 or 1.

    Returns:
        `(B, T, T)`: the share of the masks at the first cell that hold the second; and `(B, T)`:
        how many masks hold a cell. A cell of 4 x 4 pixels may lie partly in a mask.
    """
    _, count, height, width = masks.shape
    cells = height // 4 * (width // 4)
    cover = ops.reshape(masks, (-1, count, height // 4, 4, width // 4, 4))
    cover = ops.reshape(ops.mean(cover, axis=(3, 5)), (-1, count, cells))
    held = ops.sum(cover, axis=1)
    both = ops.matmul(ops.swapaxes(cover, 1, 2), cover)
    return both / ops.maximum(held, 1e-6)[..., None], held
