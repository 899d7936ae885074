"""A model as files that other programs load, checked in their own runtime."""

from keras_sam.export.check import ExportCheckError
from keras_sam.export.export_model import ExportReport, export_model
from keras_sam.export.formats.registry import EXPORT_FORMATS
from keras_sam.export.options import ExportOptions

__all__ = [
    "EXPORT_FORMATS",
    "ExportCheckError",
    "ExportOptions",
    "ExportReport",
    "export_model",
]
