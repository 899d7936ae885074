"""`InteractiveSegmentationLoss`: simulated prompts, correction rounds, and the loss of each."""

import math
from typing import Any

import keras
from keras import ops

from keras_sam.layers.prompts import NOT_A_POINT, PADDING
from keras_sam.train.mask_losses import dice_loss, focal_loss, mask_iou
from keras_sam.train.simulated_prompts import (
    BOX_NOISE,
    jitter_box,
    sample_error_point,
    sample_point,
)


class InteractiveSegmentationLoss(keras.layers.Layer):
    """Trains a segmenter as a person would use it (arXiv 2304.02643, appendix A).

    Each ground-truth mask is prompted once, by a click inside it or by a box around it. Of the
    masks for an ambiguous prompt only the best learns, and with `top_iou_weight` the one that the
    model rates best; the single mask learns beside them. Each correction round adds a click in
    the error region of the mask that the model rates best, and feeds that mask's logits back.
    The IoU head learns the true IoU of every mask.

    Pass it to `SAMImageSegmenter.compile` as `loss`. Targets are `{"masks": (B, P, H, W)}`,
    0 or 1, at the low-res grid or a multiple of it; an all-zero mask is a gap and is left out.

    Args:
        rounds: correction rounds behind the first prompt.
        correction_share: share of the prompts that are corrected; the others end with their first.
        box_probability: share of prompts that start from a box.
        box_noise: standard deviation of the noise on a box, as a share of its side.
        center_click_probability: share of clicks put deep inside the mask; the others are uniform
            over it.
        focal_gamma: exponent of the focal loss; 0 gives cross-entropy.
        focal_alpha: weight of foreground pixels, `None` for none.
        pixel_weight: weight of the pixel loss.
        dice_weight: weight of the dice loss.
        iou_weight: weight of the squared error of the predicted IoU.
        top_iou_weight: weight of the loss of the mask rated best of several, beside the loss of the
            best: it moves that mask to what is likeliest where a prompt leaves open what is meant.
        seed: seed of the simulated prompts.
    """

    def __init__(
        self,
        *,
        rounds: int = 2,
        correction_share: float = 1.0,
        box_probability: float = 0.5,
        box_noise: float = BOX_NOISE,
        center_click_probability: float = 0.0,
        focal_gamma: float = 2.0,
        focal_alpha: float | None = 0.25,
        pixel_weight: float = 20.0,
        dice_weight: float = 1.0,
        iou_weight: float = 1.0,
        top_iou_weight: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < correction_share <= 1:
            raise ValueError(f"correction_share must be in 0..1 and not 0, got {correction_share}")
        self.rounds = rounds
        self.correction_share = correction_share
        self.box_probability = box_probability
        self.box_noise = box_noise
        self.center_click_probability = center_click_probability
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.pixel_weight = pixel_weight
        self.dice_weight = dice_weight
        self.iou_weight = iou_weight
        self.top_iou_weight = top_iou_weight
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.top_iou = keras.metrics.Mean(name="top_iou")
        self.best_iou = keras.metrics.Mean(name="best_iou")
        self.single_iou = keras.metrics.Mean(name="single_iou")
        self.built = True

    def compute(self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool = True) -> Any:
        """The loss of a batch, averaged over its masks and over its rounds.

        Args:
            segmenter: a `SAMImageSegmenter`.
            x: its inputs; only `images` is read.
            y: `{"masks": (B, P, H, W)}`.
            y_pred: its outputs; `image_embeddings` is taken from them when there.
            training: whether gradients are wanted.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if `y` holds no masks that fit the low-res grid.
        """
        backbone = segmenter.backbone
        truth = masks_to_low_res(y, backbone.low_res_size)
        present = ops.cast(ops.any(truth > 0.5, axis=(2, 3)), "float32")  # (B, P)
        embeddings = y_pred.get("image_embeddings") if isinstance(y_pred, dict) else None
        if embeddings is None:
            embeddings = segmenter.encode_image(x["images"])
        # First prompts: a click or a box.
        image_size = backbone.image_shape[:2]
        points, labels, boxes = self._first_prompts(truth, image_size)
        previous: Any = None
        total = 0.0
        corrected = math.ceil(self.correction_share * truth.shape[1])
        for turn in range(self.rounds + 1):
            if turn == 1:
                points, labels, boxes, truth, present, previous = (
                    part[:, :corrected]
                    for part in (points, labels, boxes, truth, present, previous)
                )
            if turn:
                point, label = sample_error_point(
                    previous, truth, image_size=image_size, seed=self.seed_generator
                )
                points = ops.concatenate([points, point], axis=2)
                labels = ops.concatenate([labels, label], axis=2)
            outputs = segmenter.decode(
                embeddings,
                points=points,
                labels=labels,
                boxes=boxes,
                masks=None if previous is None else previous[..., None],
            )
            logits = ops.cast(outputs["masks"], "float32")
            ratings = ops.cast(outputs["iou_pred"], "float32")
            total = total + self._round_loss(logits, ratings, truth, present, first=turn == 0)
            # The paper feeds back the mask that the model rates best.
            chosen = ops.argmax(ratings, axis=-1) if turn == 0 else ops.zeros_like(labels[..., 0])
            previous = ops.stop_gradient(_take_mask(logits, chosen))
        return total / (self.rounds + 1)

    def _first_prompts(self, truth: Any, image_size: tuple[int, int]) -> tuple[Any, Any, Any]:
        """Points `(B, P, 2, 2)`, labels `(B, P, 2)` and boxes `(B, P, 2, 2)` for each mask."""
        click = sample_point(
            truth,
            image_size=image_size,
            deep_probability=self.center_click_probability,
            seed=self.seed_generator,
        )
        box = jitter_box(
            truth, image_size=image_size, noise=self.box_noise, seed=self.seed_generator
        )
        draw = keras.random.uniform(ops.shape(truth)[:2], seed=self.seed_generator)
        by_box = (draw < self.box_probability)[..., None]  # (B, P, 1)
        points = ops.stack([click, ops.zeros_like(click)], axis=2)
        # A click without a box is followed by a token that is not a point, as in the predictor.
        labels = ops.where(by_box, PADDING, ops.array([1, NOT_A_POINT]))
        boxes = ops.where(by_box[..., None], box, float("nan"))
        return points, labels, boxes

    def _round_loss(
        self, logits: Any, ratings: Any, truth: Any, present: Any, *, first: bool
    ) -> Any:
        """Loss of one round: `(B, P, M, L, L)` logits against `(B, P, L, L)` masks."""
        target = truth[:, :, None]
        losses = self.pixel_weight * focal_loss(
            logits, target, gamma=self.focal_gamma, alpha=self.focal_alpha
        ) + self.dice_weight * dice_loss(logits, target)  # (B, P, M)
        single, several = losses[..., 0], losses[..., 1:]
        loss = single + (ops.min(several, axis=-1) if several.shape[-1] else 0.0)
        if several.shape[-1] and self.top_iou_weight:
            loss = loss + self.top_iou_weight * _take_rated(several, ratings[..., 1:])
        iou = ops.stop_gradient(mask_iou(logits, target))  # (B, P, M)
        loss = loss + self.iou_weight * ops.mean(ops.square(ratings - iou), axis=-1)
        weight = present / ops.maximum(ops.sum(present), 1.0)
        if first:
            self._track(iou, ratings, present)
        return ops.sum(loss * weight)

    def _track(self, iou: Any, ratings: Any, present: Any) -> None:
        self.single_iou.update_state(iou[..., 0], sample_weight=present)
        rated = _take_rated(iou[..., 1:], ratings[..., 1:])
        self.top_iou.update_state(rated, sample_weight=present)
        self.best_iou.update_state(ops.max(iou[..., 1:], axis=-1), sample_weight=present)


def masks_to_low_res(targets: Any, low_res_size: tuple[int, int]) -> Any:
    """Ground-truth masks at the low-res grid, float32 0 or 1.

    Args:
        targets: `{"masks": (B, P, H, W)}`, 0 or 1.
        low_res_size: `(height, width)`; `H` and `W` are the same multiple of it.

    Raises:
        ValueError: if there are no masks of such a shape.
    """
    masks = targets.get("masks") if isinstance(targets, dict) else targets
    height, width = low_res_size
    shape = () if masks is None else tuple(masks.shape)
    factor = shape[2] // height if len(shape) == 4 else 0
    if not factor or shape[2:] != (factor * height, factor * width):
        raise ValueError(
            f"targets must be {{'masks': (B, P, H, W)}} with (H, W) the low-res grid "
            f"{low_res_size} or a multiple of it, got {shape or None}"
        )
    masks = ops.cast(masks, "float32")
    if factor == 1:
        return masks
    masks = ops.reshape(masks, (-1, shape[1], height, factor, width, factor))
    return ops.cast(ops.mean(masks, axis=(3, 5)) >= 0.5, "float32")


def _take_mask(logits: Any, index: Any) -> Any:
    """The masks `(B, P, L, L)` of `(B, P, M, L, L)` at indices `(B, P)`."""
    chosen = ops.one_hot(index, logits.shape[2], dtype="float32")[..., None, None]
    return ops.sum(logits * chosen, axis=2)


def _take_rated(values: Any, ratings: Any) -> Any:
    """Of `(..., M)` values the one that is rated best."""
    return ops.take_along_axis(values, ops.argmax(ratings, axis=-1)[..., None], axis=-1)[..., 0]
