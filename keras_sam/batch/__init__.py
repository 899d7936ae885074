"""Many images: masks of thousands or millions of them, in one Parquet table."""

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.local_runner import LocalOptions
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.ray_runner import RayOptions
from keras_sam.batch.read_inputs import read_inputs
from keras_sam.batch.run_batch import BatchProgress, BatchSummary, run_batch
from keras_sam.batch.table import row_to_record

__all__ = [
    "BatchImage",
    "BatchProgress",
    "BatchSettings",
    "BatchSummary",
    "ImageResult",
    "LocalOptions",
    "PartLimits",
    "RayOptions",
    "read_inputs",
    "row_to_record",
    "run_batch",
]
