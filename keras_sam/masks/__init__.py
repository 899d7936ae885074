"""Boolean masks as arrays, run lengths, COCO RLE and polygons; boxes and points. No files."""

from keras_sam.masks.box_nms import box_nms
from keras_sam.masks.coco_rle import coco_rle_to_mask, mask_to_coco_rle
from keras_sam.masks.mask_to_polygons import mask_to_polygons
from keras_sam.masks.measures import (
    mask_area,
    mask_interior_point,
    mask_iou,
    mask_to_box,
    stability_score,
)
from keras_sam.masks.point_grid import point_grid
from keras_sam.masks.polygon import Polygon
from keras_sam.masks.polygons_to_mask import polygons_to_mask
from keras_sam.masks.run_length_mask import RunLengthMask
from keras_sam.masks.small_regions import remove_small_regions

__all__ = [
    "Polygon",
    "RunLengthMask",
    "box_nms",
    "coco_rle_to_mask",
    "mask_area",
    "mask_interior_point",
    "mask_iou",
    "mask_to_box",
    "mask_to_coco_rle",
    "mask_to_polygons",
    "point_grid",
    "polygons_to_mask",
    "remove_small_regions",
    "stability_score",
]
