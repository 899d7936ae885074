"""Pixels, boxes and masks in NumPy: what needs no network."""

from keras_sam.geometry.atomic_write import write_atomically
from keras_sam.geometry.check_prompts import check_box, check_points
from keras_sam.geometry.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from keras_sam.geometry.is_size import is_size
from keras_sam.geometry.masks import (
    coco_rle_to_mask,
    deepest_point,
    mask_area,
    mask_iou,
    mask_to_box,
    mask_to_coco_rle,
    stability_score,
)
from keras_sam.geometry.model_frame import ModelFrame
from keras_sam.geometry.original_masks import OriginalMasks
from keras_sam.geometry.picture import draw_overlay
from keras_sam.geometry.preprocessing import Preprocessing
from keras_sam.geometry.read_image import ImageError, read_image

__all__ = [
    "CocoAnnotation",
    "CocoDataset",
    "CocoImage",
    "ImageError",
    "ModelFrame",
    "OriginalMasks",
    "Preprocessing",
    "check_box",
    "check_points",
    "coco_rle_to_mask",
    "deepest_point",
    "draw_overlay",
    "is_size",
    "mask_area",
    "mask_iou",
    "mask_to_box",
    "mask_to_coco_rle",
    "read_coco",
    "read_image",
    "stability_score",
    "write_atomically",
]
