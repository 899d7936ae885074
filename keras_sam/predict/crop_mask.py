"""`CropMask`: a mask that was predicted in a crop; and the selection among many of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_sam.masks.run_length_mask import RunLengthMask, mask_to_runs, runs_iou
from keras_sam.predict.predictor import MASK_THRESHOLD
from keras_sam.predict.select_diverse_masks import select_diverse_masks
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.types import Box, Size

# Subtracted from the predicted IoU per halving of the crop's side. Without it, masks of object
# parts in small crops win too often. On BSDS500 and on held photographs it is worth 0.01 mean IoU.
ZOOM_PENALTY = 0.04


@dataclass(frozen=True, eq=False)
class CropMask:
    """A mask predicted in a crop.

    Attributes:
        box: Crop XYXY in whole pixels of the original.
        transform: Transform between the crop and the model frame.
        low_res_logits: Logits `(L, L)`.
        predicted_iou: IoU that the model predicts for the mask.
        zoom_level: Number of halvings from the image's longer side to that of the crop.
        runs: Mask in the original.
        is_complete: False if the mask is empty, or ends at a side of the crop that is not a side
            of the image.
    """

    box: Box
    transform: ImageTransform
    low_res_logits: np.ndarray = field(repr=False)
    predicted_iou: float
    zoom_level: float
    runs: RunLengthMask = field(repr=False)
    is_complete: bool

    @property
    def score(self) -> float:
        """Predicted IoU, reduced by `ZOOM_PENALTY` per zoom level."""
        return self.predicted_iou - ZOOM_PENALTY * self.zoom_level


def build_crop_mask(
    box: Box,
    transform: ImageTransform,
    low_res_logits: np.ndarray,
    predicted_iou: float,
    original_size: Size,
) -> CropMask:
    """Build a `CropMask` from a prediction in a crop.

    Args:
        box: Crop XYXY in whole pixels of the original.
        transform: Transform between the crop and the model frame.
        low_res_logits: Logits `(L, L)`.
        predicted_iou: IoU that the model predicts for the mask.
        original_size: `(height, width)` of the image.
    """
    size = (low_res_logits.shape[0], low_res_logits.shape[1])
    postprocessor = MaskPostprocessor(transform, size, threshold=MASK_THRESHOLD, offset=0.0)
    mask = postprocessor.compute_box_and_stability(low_res_logits)
    x0, y0, x1, y1 = box
    left, top = mask.box[:2]
    return CropMask(
        box=box,
        transform=transform,
        low_res_logits=low_res_logits,
        predicted_iou=predicted_iou,
        zoom_level=math.log2(max(original_size) / max(y1 - y0, x1 - x0)),
        runs=mask_to_runs(postprocessor.render(mask)).shifted(x0 + left, y0 + top),
        is_complete=mask.box[2] > 0 and not _is_cut(mask.box, box, original_size),
    )


def select_crop_masks(masks: Sequence[CropMask], count: int) -> tuple[list[CropMask], np.ndarray]:
    """Select masks among those of several crops for the same prompt.

    Complete masks are selected with `select_diverse_masks`. Others only fill up.

    Args:
        masks: At least `count` masks.
        count: Number of masks to select.

    Returns:
        Masks, and their scores `(count,)`. The first score is the highest.
    """
    complete = [mask for mask in masks if mask.is_complete]
    rest = sorted((mask for mask in masks if not mask.is_complete), key=lambda mask: -mask.score)
    if not complete:
        return rest[:count], np.array([mask.score for mask in rest[:count]], np.float32)
    scores = np.array([mask.score for mask in complete])
    iou = np.array([[runs_iou(mask.runs, other.runs) for other in complete] for mask in complete])
    selected = select_diverse_masks(iou, scores, min(count, len(complete)))
    rest = rest[: count - len(selected)]
    max_score = scores[selected].min()
    rest_scores = [min(mask.score, max_score) for mask in rest]
    all_scores = np.concatenate([scores[selected], rest_scores]).astype(np.float32)
    return [*(complete[index] for index in selected), *rest], all_scores


def _is_cut(mask_box: Box, crop_box: Box, original_size: Size) -> bool:
    """Return True if a mask ends at a side of its crop that is not a side of the image."""
    (height, width), (x0, y0, x1, y1) = original_size, crop_box
    left, top, right, bottom = mask_box
    return (
        (left == 0 and x0 > 0)
        or (top == 0 and y0 > 0)
        or (right == x1 - x0 and x1 < width)
        or (bottom == y1 - y0 and y1 < height)
    )
