"""`InteractiveSegmentationLoss`: simulated prompts, correction rounds, and the loss of each."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_sam.losses.low_res_targets import cell_coverage, check_target_masks
from keras_sam.losses.mask_losses import dice_loss, focal_loss, mask_iou
from keras_sam.losses.replicas import mean_over_replicas
from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss
from keras_sam.losses.simulated_prompts import (
    BOX_NOISE,
    jitter_boxes,
    mask_boxes,
    sample_error_point,
    sample_point,
)
from keras_sam.point_labels import NOT_A_POINT, PADDING
from keras_sam.types import Size


class _RoundPrompts(NamedTuple):
    """Prompts of one round, one per target mask.

    `points` `(B, P, N, 2)`, `labels` `(B, P, N)`, `boxes` `(B, P, 2, 2)`, and `logits`
    `(B, P, L, L)` of the round before, or `None` in the first round.
    """

    points: Any
    labels: Any
    boxes: Any
    logits: Any


@keras.saving.register_keras_serializable(package="keras_sam")
class InteractiveSegmentationLoss(SegmentationLoss):
    """Loss of simulated interactive segmentation (arXiv 2304.02643, appendix A).

    Each target mask gets one prompt: a point inside it or a box around it. The decoder returns a
    single mask and several masks for ambiguous prompts. The single mask is trained, and of the
    several only the best one, plus the one with the highest predicted IoU if `top_iou_weight` is
    positive. The IoU head is trained with the true IoU of all masks. Each correction round adds a
    point from the error region of the mask with the highest predicted IoU, and passes its logits
    back as the mask prompt.

    Pass it to `SAMImageSegmenter.compile` as `loss`. Targets are `{"masks": (B, P, H, W)}`, 0 or
    1, at the low-res grid or a multiple of it; the finer, the more exact are the prompts. Masks of
    zeros are padding and are ignored. Optional targets `boxes` `(B, P, 2, 2)`, in the model frame,
    are the boxes of the masks if these were cut or resized.

    In evaluation, each batch gets the same prompts whenever it is evaluated.

    It reports three metrics of the first round: `single_iou` of the single mask, `top_iou` of the
    ambiguous mask with the highest predicted IoU, and `oracle_iou` of the best ambiguous mask.

    Args:
        correction_rounds: Number of rounds after the first prompt.
        correction_share: Share of the masks that get correction rounds, in (0, 1].
        box_probability: Probability that the first prompt is a box.
        box_noise: Standard deviation of the noise on boxes, as a share of their side.
        center_click_probability: Probability that a first point is near the center of its mask
            instead of uniform over it.
        focal_gamma: Focusing exponent of the focal loss. 0 gives cross-entropy.
        focal_alpha: Weight of foreground pixels in the focal loss, or `None` for equal weights.
        focal_weight: Weight of the focal loss.
        dice_weight: Weight of the dice loss.
        iou_weight: Weight of the squared error of the predicted IoU.
        top_iou_weight: Weight of the additional loss of the ambiguous mask with the highest
            predicted IoU. It moves this mask to the most likely target of an ambiguous prompt.
        remat: If True, training keeps only the masks of each round, and decodes them again for
            the gradients. Memory is then that of one round instead of all, and the decoder takes
            a third more time.
        seed: Seed of the simulated prompts.

    Raises:
        ValueError: If `correction_share` is not in (0, 1].
    """

    def __init__(
        self,
        *,
        correction_rounds: int = 2,
        correction_share: float = 1.0,
        box_probability: float = 0.5,
        box_noise: float = BOX_NOISE,
        center_click_probability: float = 0.0,
        focal_gamma: float = 2.0,
        focal_alpha: float | None = 0.25,
        focal_weight: float = 20.0,
        dice_weight: float = 1.0,
        iou_weight: float = 1.0,
        top_iou_weight: float = 0.0,
        remat: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < correction_share <= 1:
            raise ValueError(f"correction_share must be in (0, 1], got {correction_share}")
        self.correction_rounds = correction_rounds
        self.correction_share = correction_share
        self.box_probability = box_probability
        self.box_noise = box_noise
        self.center_click_probability = center_click_probability
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.focal_weight = focal_weight
        self.dice_weight = dice_weight
        self.iou_weight = iou_weight
        self.top_iou_weight = top_iou_weight
        self.remat = remat
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.top_iou = keras.metrics.Mean(name="top_iou")
        self.oracle_iou = keras.metrics.Mean(name="oracle_iou")
        self.single_iou = keras.metrics.Mean(name="single_iou")
        self.built = True

    def compute(
        self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool = True
    ) -> LossResult:
        """Compute the loss of a batch, averaged over its masks and rounds.

        Args:
            segmenter: `SAMImageSegmenter` to train.
            x: Inputs of the segmenter. Only `images` is used.
            y: Targets `{"masks": (B, P, H, W)}`.
            y_pred: Outputs of the segmenter. If they contain the image embedding, it is used;
                otherwise, the images are encoded.
            training: If True, the images are encoded in training mode.

        Returns:
            The loss, and targets and predictions of the first round. Predictions are those of
            the ambiguous mask with the highest predicted IoU.

        Raises:
            ValueError: If there are no masks, or their shape does not fit the low-res grid.
        """
        with nullcontext() if training else _repeat_seeds(self.seed_generator):
            return self._compute(segmenter, x, y, y_pred, training=training)

    def _compute(
        self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool
    ) -> LossResult:
        image_size = segmenter.backbone.image_shape[:2]
        low_res_size = segmenter.backbone.low_res_size
        masks = check_target_masks(y, low_res_size)
        target = ops.cast(cell_coverage(masks, low_res_size) >= 0.5, "float32")
        valid = ops.cast(ops.any(target > 0.5, axis=(2, 3)), "float32")  # (B, P)
        boxes = y.get("boxes") if isinstance(y, dict) else None
        boxes = mask_boxes(masks, image_size=image_size) if boxes is None else boxes
        embedding = self._image_embedding(segmenter, x, y_pred, training=training)
        # First round: one point or box per mask.
        prompts = self._first_prompts(masks, boxes, low_res_size, image_size)
        run_round = self._rematerialized_round if self.remat and training else self._round
        truth = (target, valid, _num_masks(valid, training=training))
        loss, logits, iou_pred, iou = run_round(segmenter, embedding, prompts, *truth)
        self._update_metrics(iou, iou_pred, valid)
        top = 1 + ops.argmax(iou_pred[..., 1:], axis=-1)  # mask 0 is the single mask
        prediction = ops.stop_gradient(ops.sigmoid(_select_mask(logits, top)))
        result = LossResult(loss, target, prediction, valid)
        # Correction rounds, for the first masks of each image.
        index = ops.argmax(iou_pred, axis=-1)
        count = math.ceil(self.correction_share * target.shape[1])
        masks, target, valid = masks[:, :count], target[:, :count], valid[:, :count]
        truth = (target, valid, _num_masks(valid, training=training))
        for _ in range(self.correction_rounds):
            previous = ops.stop_gradient(_select_mask(logits[:, :count], index[:, :count]))
            prompts = self._correct(prompts, previous, masks, image_size)
            round_loss, logits, _, _ = run_round(segmenter, embedding, prompts, *truth)
            loss = loss + round_loss
            index = ops.zeros_like(index)  # a corrected prompt is not ambiguous
        return result._replace(loss=loss / (self.correction_rounds + 1))

    def _round(
        self, segmenter: Any, embedding: dict[str, Any], prompts: _RoundPrompts, *truth: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Decode prompts, and compute the loss.

        Returns:
            The scalar loss, logits `(B, P, M, L, L)`, and predicted and true IoU `(B, P, M)`.
        """
        logits, iou_pred = _decode(segmenter, embedding, prompts)
        loss, iou = self._round_loss(logits, iou_pred, *truth)
        return loss, logits, iou_pred, iou

    def _rematerialized_round(
        self, segmenter: Any, embedding: dict[str, Any], prompts: _RoundPrompts, *truth: Any
    ) -> tuple[Any, Any, Any, Any]:
        """`_round` whose intermediate results are computed again for the gradients."""

        # TensorFlow needs all arrays with gradients, and only those, as arguments.
        def run(*arrays: Any) -> tuple[Any, Any, Any, Any]:
            return self._round(
                segmenter, dict(zip(embedding, arrays, strict=True)), prompts, *truth
            )

        outputs: tuple[Any, Any, Any, Any] = keras.remat(run)(*embedding.values())
        return outputs

    def _first_prompts(
        self, masks: Any, boxes: Any, low_res_size: Size, image_size: Size
    ) -> _RoundPrompts:
        """Sample a point or a box for each mask."""
        point = sample_point(
            masks,
            low_res_size=low_res_size,
            image_size=image_size,
            center_probability=self.center_click_probability,
            seed=self.seed_generator,
        )
        box = jitter_boxes(
            ops.cast(boxes, "float32"),
            image_size=image_size,
            noise=self.box_noise,
            seed=self.seed_generator,
        )
        draw = keras.random.uniform(ops.shape(masks)[:2], seed=self.seed_generator)
        is_box = (draw < self.box_probability)[..., None]  # (B, P, 1)
        # A point without a box is followed by a token that is not a point, as in the predictor.
        labels = ops.where(is_box, PADDING, ops.array([1, NOT_A_POINT]))
        return _RoundPrompts(
            points=ops.stack([point, ops.zeros_like(point)], axis=2),
            labels=labels,
            boxes=ops.where(is_box[..., None], box, float("nan")),
            logits=None,
        )

    def _correct(
        self, prompts: _RoundPrompts, logits: Any, masks: Any, image_size: Size
    ) -> _RoundPrompts:
        """Add a point from the error region to the first prompts, as many as there are logits."""
        point, label = sample_error_point(
            logits, masks, image_size=image_size, seed=self.seed_generator
        )
        count = masks.shape[1]
        return _RoundPrompts(
            points=ops.concatenate([prompts.points[:, :count], point], axis=2),
            labels=ops.concatenate([prompts.labels[:, :count], label], axis=2),
            boxes=prompts.boxes[:, :count],
            logits=logits,
        )

    def _round_loss(
        self, logits: Any, iou_pred: Any, target: Any, valid: Any, num_masks: Any
    ) -> tuple[Any, Any]:
        """Compute the loss of one round.

        Args:
            logits: Mask logits `(B, P, M, L, L)`.
            iou_pred: Predicted IoU `(B, P, M)`.
            target: Ground-truth masks `(B, P, L, L)`.
            valid: `(B, P)`, 0 for padding masks.
            num_masks: Number of masks to average over.

        Returns:
            The scalar loss and the true IoU `(B, P, M)`.
        """
        target = target[:, :, None]
        focal = focal_loss(logits, target, gamma=self.focal_gamma, alpha=self.focal_alpha)
        mask_loss = self.focal_weight * focal + self.dice_weight * dice_loss(logits, target)
        single, ambiguous = mask_loss[..., 0], mask_loss[..., 1:]  # (B, P), (B, P, M - 1)
        # Not ops.min: JAX's gradient of it divides by the number of equal values, which is 0 if
        # XLA computes a value twice and rounds differently.
        loss = single + _select(ambiguous, ops.argmin(ambiguous, axis=-1))
        if self.top_iou_weight:
            top = ops.argmax(iou_pred[..., 1:], axis=-1)
            loss = loss + self.top_iou_weight * _select(ambiguous, top)
        iou = ops.stop_gradient(mask_iou(logits, target))
        loss = loss + self.iou_weight * ops.mean(ops.square(iou_pred - iou), axis=-1)
        return ops.sum(loss * valid) / num_masks, iou

    def _update_metrics(self, iou: Any, iou_pred: Any, valid: Any) -> None:
        top = ops.argmax(iou_pred[..., 1:], axis=-1)
        self.single_iou.update_state(iou[..., 0], sample_weight=valid)
        self.top_iou.update_state(_select(iou[..., 1:], top), sample_weight=valid)
        self.oracle_iou.update_state(ops.max(iou[..., 1:], axis=-1), sample_weight=valid)


@contextmanager
def _repeat_seeds(generator: keras.random.SeedGenerator) -> Iterator[None]:
    """Draw the numbers of the seed 0, and continue afterwards where the generator was."""
    state = ops.copy(generator.state)
    generator.state.assign(ops.zeros_like(state))
    try:
        yield
    finally:
        generator.state.assign(state)


def _num_masks(valid: Any, *, training: bool) -> Any:
    """Return the number of masks without padding, in training its mean over all replicas.

    The mean of the losses of all replicas is then that of the whole batch, even if replicas have
    different numbers of padding masks.
    """
    count = ops.sum(valid)
    return ops.maximum(mean_over_replicas(count) if training else count, 1e-6)


def _decode(segmenter: Any, embedding: Any, prompts: _RoundPrompts) -> tuple[Any, Any]:
    """Return all masks' logits `(B, P, M, L, L)` and predicted IoU `(B, P, M)`, float32."""
    outputs = segmenter.decode(
        embedding,
        points=prompts.points,
        labels=prompts.labels,
        boxes=prompts.boxes,
        masks=None if prompts.logits is None else prompts.logits[..., None],
    )
    return ops.cast(outputs["masks"], "float32"), ops.cast(outputs["iou_pred"], "float32")


def _select_mask(logits: Any, index: Any) -> Any:
    """Select masks `(B, P, L, L)` from `(B, P, M, L, L)` by indices `(B, P)`."""
    is_selected = ops.one_hot(index, logits.shape[2], dtype="float32")[..., None, None]
    return ops.sum(logits * is_selected, axis=2)


def _select(values: Any, index: Any) -> Any:
    """Select values `(B, P)` from `(B, P, M)` by indices `(B, P)`."""
    return ops.take_along_axis(values, index[..., None], axis=-1)[..., 0]
