"""Masks of many images, written to one Parquet table. Runs on one machine or on a Ray cluster."""

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.read_inputs import read_inputs
from keras_sam.batch.run_batch import BatchProgress, BatchSummary, run_batch
from keras_sam.batch.run_local import LocalOptions
from keras_sam.batch.run_ray import RayOptions
from keras_sam.batch.table import row_to_record

__all__ = [
    "BatchImage",
    "BatchProgress",
    "BatchSettings",
    "BatchSummary",
    "LocalOptions",
    "PartLimits",
    "RayOptions",
    "read_inputs",
    "row_to_record",
    "run_batch",
]
