"""Pixels, boxes and masks, without a backend."""

from keras_sam.geometry.atomic_write import write_atomically
from keras_sam.geometry.check_prompts import check_boxes, check_points
from keras_sam.geometry.coco import CocoDataset, CocoImage, read_coco
from keras_sam.geometry.masks import (
    coco_rle_to_mask,
    deepest_point,
    mask_iou,
    mask_to_box,
    mask_to_coco_rle,
)
from keras_sam.geometry.model_frame import ModelFrame
from keras_sam.geometry.picture import draw_overlay
from keras_sam.geometry.read_image import ImageError, read_image

__all__ = [
    "CocoDataset",
    "CocoImage",
    "ImageError",
    "ModelFrame",
    "check_boxes",
    "check_points",
    "coco_rle_to_mask",
    "deepest_point",
    "draw_overlay",
    "mask_iou",
    "mask_to_box",
    "mask_to_coco_rle",
    "read_coco",
    "read_image",
    "write_atomically",
]
