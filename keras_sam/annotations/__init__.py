"""Readers and writers of masks in annotation formats such as COCO; no drawing and no models."""

from keras_sam.annotations.coco import (
    CocoAnnotation,
    CocoDataset,
    CocoImage,
    read_coco,
    write_coco,
)
from keras_sam.annotations.detections import records_to_detections
from keras_sam.annotations.geojson import write_geojson
from keras_sam.annotations.label_geotiff import write_label_geotiff
from keras_sam.annotations.label_map import (
    label_map_to_records,
    read_label_map,
    records_to_label_map,
    write_label_map,
)
from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage, LabeledMask
from keras_sam.annotations.labelme import read_labelme, write_labelme
from keras_sam.annotations.mask_pngs import write_mask_pngs
from keras_sam.annotations.mask_record import (
    AnnotatedImage,
    MaskRecord,
    mask_to_record,
    record_to_mask,
)
from keras_sam.annotations.npz import RecordArrays, records_to_arrays, write_npz
from keras_sam.annotations.open_dataset import open_dataset
from keras_sam.annotations.registry import write_masks
from keras_sam.annotations.split_validation import split_validation
from keras_sam.annotations.yolo import read_yolo, read_yolo_categories, write_yolo

__all__ = [
    "AnnotatedImage",
    "CocoAnnotation",
    "CocoDataset",
    "CocoImage",
    "LabeledDataset",
    "LabeledImage",
    "LabeledMask",
    "MaskRecord",
    "RecordArrays",
    "label_map_to_records",
    "mask_to_record",
    "open_dataset",
    "read_coco",
    "read_label_map",
    "read_labelme",
    "read_yolo",
    "read_yolo_categories",
    "record_to_mask",
    "records_to_arrays",
    "records_to_detections",
    "records_to_label_map",
    "split_validation",
    "write_coco",
    "write_geojson",
    "write_label_geotiff",
    "write_label_map",
    "write_labelme",
    "write_mask_pngs",
    "write_masks",
    "write_npz",
    "write_yolo",
]
