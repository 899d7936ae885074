"""`score_masks`: prompt a predictor with labeled masks of one image, and compute their IoU."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from keras_sam.annotations.coco import CocoAnnotation
from keras_sam.annotations.mask_record import DEFAULT_CATEGORY
from keras_sam.evaluate.boundary_iou import boundary_iou
from keras_sam.evaluate.number_of_clicks import click_ious
from keras_sam.evaluate.simulate_clicks import jittered_click, next_click
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_interior_point, mask_to_box
from keras_sam.predict.predictor import Predictor

EXTRA_CLICKS = 2  # after the first one


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class Target:
    """A labeled mask of an image.

    Attributes:
        mask: Mask `(H, W)`, bool and not empty.
        file_name: File name of the image.
        annotation_id: Id of the annotation.
        category: Name of the object's class.
        is_crowd: If True, the annotation is a crowd of COCO, which box AP ignores.
    """

    mask: np.ndarray = field(repr=False)
    file_name: str = ""
    annotation_id: int = 0
    category: str = DEFAULT_CATEGORY
    is_crowd: bool = False

    @classmethod
    def from_annotation(cls, annotation: CocoAnnotation, file_name: str) -> "Target":
        """Decode the mask of an annotation."""
        is_crowd = bool(annotation.raw.get("iscrowd", 0))
        return cls(annotation.mask(), file_name, annotation.id, annotation.category, is_crowd)

    @cached_property
    def area(self) -> int:
        """Number of pixels in the mask."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def box(self) -> np.ndarray:
        """Tight box `(4,)` XYXY, float32."""
        return mask_to_box(self.mask)

    @cached_property
    def point(self) -> tuple[int, int]:
        """Interior point (x, y)."""
        return mask_interior_point(self.mask)

    def iou(self, mask: np.ndarray) -> float:
        """Compute the IoU with another mask `(H, W)`, bool."""
        x0, y0, x1, y1 = self.box.astype(int)
        window = slice(y0, y1), slice(x0, x1)
        intersection = np.count_nonzero(mask[window] & self.mask[window])
        return intersection / (self.area + np.count_nonzero(mask) - intersection)


@dataclass(frozen=True)
class MaskScore:
    """IoU of one mask, by prompt. All values are in [0, 1] unless stated.

    Attributes:
        file_name: File name of the image.
        annotation_id: Id of the annotation.
        category: Name of the object's class.
        area: Number of pixels in the target.
        box_iou: IoU for the target's box, with the single mask.
        point_iou: IoU for the target's interior point, with the mask of the highest predicted
            IoU among three.
        point_oracle_iou: IoU for the same point, with the best of the three masks.
        three_point_iou: IoU for the same point and two corrections, with the single mask.
        jittered_point_iou: Like `point_iou`, for a random point of the target. `None` if not
            measured.
        box_boundary_iou: Boundary IoU of the mask of `box_iou`.
        point_boundary_iou: Boundary IoU of the mask of `point_iou`.
        three_point_boundary_iou: Boundary IoU of the mask of `three_point_iou`.
        multimask_iou: IoU of the three masks for the point.
        predicted_iou: Predicted IoU of the three masks for the point; may leave [0, 1].
        box_predicted_iou: Predicted IoU of the mask for the box; may leave [0, 1].
        click_iou: IoU after 1, 2, ... clicks. `None` if not measured.
    """

    file_name: str
    annotation_id: int
    category: str
    area: int
    box_iou: float
    point_iou: float
    point_oracle_iou: float
    three_point_iou: float
    jittered_point_iou: float | None
    box_boundary_iou: float
    point_boundary_iou: float
    three_point_boundary_iou: float
    multimask_iou: tuple[float, ...]
    predicted_iou: tuple[float, ...]
    box_predicted_iou: float
    click_iou: tuple[float, ...] | None


@dataclass(frozen=True)
class BoxMask:
    """A target and the mask predicted for its box, for `box_ap`.

    Attributes:
        file_name: File name of the image.
        category: Name of the object's class.
        is_crowd: If True, the target is a crowd.
        target: COCO RLE of the target.
        mask: COCO RLE of the predicted mask.
        predicted_iou: Predicted IoU of the mask.
    """

    file_name: str
    category: str
    is_crowd: bool
    target: dict[str, Any] = field(repr=False)
    mask: dict[str, Any] = field(repr=False)
    predicted_iou: float


def score_masks(
    predictor: Predictor,
    targets: Sequence[Target],
    *,
    clicks: bool = False,
    jitter_seed: int | None = None,
    box_masks: bool = False,
) -> tuple[list[MaskScore], list[BoxMask]]:
    """Predict the masks of some targets, and compute their IoU.

    Args:
        predictor: Predictor with the image of the targets.
        targets: P targets.
        clicks: If True, the number-of-clicks protocol runs as well, with up to 20 predictions.
        jitter_seed: Seed of a random point in each target. `None` to skip it.
        box_masks: If True, the masks for boxes are returned.

    Returns:
        Score of each target, and mask of each target's box if asked for.
    """
    boxes, box_predicted_iou, _ = predictor.predict_many(
        boxes=np.stack([target.box for target in targets]), multimask_output=False
    )
    # Points are whole pixels. The model itself shifts them to the pixel center.
    points = np.array([[target.point] for target in targets], np.float32)
    multimasks, predicted_iou, low_res_logits = predictor.predict_many(points, _positive(points))
    multimask_iou = _multimask_ious(multimasks, targets)
    rows, best = np.arange(len(targets)), predicted_iou.argmax(1)
    point_masks = multimasks[rows, best]
    corrected = _correct(predictor, targets, points, point_masks, low_res_logits[rows, best])
    jittered = None if jitter_seed is None else _jittered_iou(predictor, targets, jitter_seed)
    clicked = click_ious(predictor, [target.mask for target in targets]) if clicks else None
    scores = [
        MaskScore(
            file_name=target.file_name,
            annotation_id=target.annotation_id,
            category=target.category,
            area=target.area,
            box_iou=target.iou(boxes[row, 0]),
            point_iou=float(multimask_iou[row, best[row]]),
            point_oracle_iou=float(multimask_iou[row].max()),
            three_point_iou=target.iou(corrected[row]),
            jittered_point_iou=None if jittered is None else float(jittered[row]),
            box_boundary_iou=boundary_iou(boxes[row, 0], target.mask),
            point_boundary_iou=boundary_iou(point_masks[row], target.mask),
            three_point_boundary_iou=boundary_iou(corrected[row], target.mask),
            multimask_iou=tuple(multimask_iou[row].tolist()),
            predicted_iou=tuple(predicted_iou[row].tolist()),
            box_predicted_iou=float(box_predicted_iou[row, 0]),
            click_iou=None if clicked is None else tuple(clicked[row].tolist()),
        )
        for row, target in enumerate(targets)
    ]
    if not box_masks:
        return scores, []
    return scores, [
        BoxMask(
            file_name=target.file_name,
            category=target.category,
            is_crowd=target.is_crowd,
            target=mask_to_coco_rle(target.mask),
            mask=mask_to_coco_rle(mask),
            predicted_iou=float(score),
        )
        for target, mask, score in zip(targets, boxes[:, 0], box_predicted_iou[:, 0], strict=True)
    ]


def _correct(
    predictor: Predictor,
    targets: Sequence[Target],
    points: np.ndarray,
    masks: np.ndarray,
    low_res_logits: np.ndarray,
) -> np.ndarray:
    """Return the masks `(P, H, W)` after two clicks in the largest error of each."""
    labels = _positive(points)
    for _ in range(EXTRA_CLICKS):
        clicks = [
            next_click(mask, target.mask) for mask, target in zip(masks, targets, strict=True)
        ]
        points = np.concatenate([points, [[click[:2]] for click in clicks]], axis=1)
        labels = np.concatenate([labels, [[click[2]] for click in clicks]], axis=1)
        masks, _, low_res_logits = (
            output[:, 0]
            for output in predictor.predict_many(
                points, labels, None, low_res_logits, multimask_output=False
            )
        )
    return masks


def _jittered_iou(predictor: Predictor, targets: Sequence[Target], seed: int) -> np.ndarray:
    """Return the IoU `(P,)` for one random point in each target."""
    clicks = [
        jittered_click(target.mask, seed, target.file_name, target.annotation_id)
        for target in targets
    ]
    points = np.array(clicks, np.float32)[:, None]
    masks, predicted_iou, _ = predictor.predict_many(points, _positive(points))
    ious = _multimask_ious(masks, targets)
    return ious[np.arange(len(targets)), predicted_iou.argmax(1)]


def _multimask_ious(masks: np.ndarray, targets: Sequence[Target]) -> np.ndarray:
    """Return the IoU `(P, M)` of masks `(P, M, H, W)`."""
    return np.array(
        [[target.iou(mask) for mask in three] for three, target in zip(masks, targets, strict=True)]
    )


def _positive(points: np.ndarray) -> np.ndarray:
    return np.ones(points.shape[:2], np.int32)
