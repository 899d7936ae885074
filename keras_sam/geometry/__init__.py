"""Pixels, boxes and masks in NumPy: what needs no network."""

from keras_sam.geometry.atomic_write import write_atomically
from keras_sam.geometry.check_prompts import check_box, check_points
from keras_sam.geometry.coco import CocoAnnotation, CocoDataset, CocoImage, read_coco
from keras_sam.geometry.draw_records import draw_records
from keras_sam.geometry.georeference import Georeference, read_georeference
from keras_sam.geometry.hold_out import hold_out
from keras_sam.geometry.image_windows import ArrayWindows, ImageWindows
from keras_sam.geometry.is_size import is_size
from keras_sam.geometry.label_map import (
    label_map_to_records,
    read_label_map,
    records_to_label_map,
    write_label_map,
)
from keras_sam.geometry.mask_to_polygons import mask_to_polygons
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
from keras_sam.geometry.open_image import open_image
from keras_sam.geometry.original_masks import OriginalMasks
from keras_sam.geometry.outline_guide import OutlineGuide
from keras_sam.geometry.picture import draw_overlay
from keras_sam.geometry.polygon import Polygon
from keras_sam.geometry.polygons_to_mask import polygons_to_mask
from keras_sam.geometry.preprocessing import Preprocessing
from keras_sam.geometry.raster_windows import RasterWindows
from keras_sam.geometry.reach_box import reach_box
from keras_sam.geometry.read_image import ImageError, read_image
from keras_sam.geometry.read_labelme import read_labelme
from keras_sam.geometry.record import MaskRecord, RecordedImage, mask_to_record, record_to_mask
from keras_sam.geometry.records_to_arrays import RecordArrays, records_to_arrays, write_npz
from keras_sam.geometry.records_to_detections import records_to_detections
from keras_sam.geometry.write_coco import write_coco
from keras_sam.geometry.write_geojson import write_geojson
from keras_sam.geometry.write_label_raster import write_label_raster
from keras_sam.geometry.write_labelme import write_labelme
from keras_sam.geometry.write_mask_pngs import write_mask_pngs
from keras_sam.geometry.write_masks import write_masks
from keras_sam.geometry.write_yolo import write_yolo
from keras_sam.geometry.zoom_windows import zoom_windows

__all__ = [
    "ArrayWindows",
    "CocoAnnotation",
    "CocoDataset",
    "CocoImage",
    "Georeference",
    "ImageError",
    "ImageWindows",
    "MaskRecord",
    "ModelFrame",
    "OriginalMasks",
    "OutlineGuide",
    "Polygon",
    "Preprocessing",
    "RasterWindows",
    "RecordArrays",
    "RecordedImage",
    "check_box",
    "check_points",
    "coco_rle_to_mask",
    "deepest_point",
    "draw_overlay",
    "draw_records",
    "hold_out",
    "is_size",
    "label_map_to_records",
    "mask_area",
    "mask_iou",
    "mask_to_box",
    "mask_to_coco_rle",
    "mask_to_polygons",
    "mask_to_record",
    "open_image",
    "polygons_to_mask",
    "reach_box",
    "read_coco",
    "read_georeference",
    "read_image",
    "read_label_map",
    "read_labelme",
    "record_to_mask",
    "records_to_arrays",
    "records_to_detections",
    "records_to_label_map",
    "stability_score",
    "write_atomically",
    "write_coco",
    "write_geojson",
    "write_label_map",
    "write_label_raster",
    "write_labelme",
    "write_mask_pngs",
    "write_masks",
    "write_npz",
    "write_yolo",
    "zoom_windows",
]
