"""Training objectives: simulated prompts and mask losses.

Keras operations only; no models, no files.
"""

from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
from keras_sam.losses.low_res_targets import low_res_targets
from keras_sam.losses.mask_losses import dice_loss, focal_loss, mask_iou
from keras_sam.losses.segmentation_loss import LossResult, SegmentationLoss
from keras_sam.losses.simulated_prompts import (
    jitter_boxes,
    mask_boxes,
    sample_error_point,
    sample_point,
)

__all__ = [
    "InteractiveSegmentationLoss",
    "LossResult",
    "SegmentationLoss",
    "dice_loss",
    "focal_loss",
    "jitter_boxes",
    "low_res_targets",
    "mask_boxes",
    "mask_iou",
    "sample_error_point",
    "sample_point",
]
