"""A model as files that other programs load, checked in their own runtime."""

from keras_sam.export.check import Difference, ExportCheckError
from keras_sam.export.export_model import ExportReport, export_model
from keras_sam.export.formats.registry import EXPORT_FORMATS
from keras_sam.export.layouts.registry import LAYOUTS
from keras_sam.export.options import ExportOptions

__all__ = [
    "EXPORT_FORMATS",
    "LAYOUTS",
    "Difference",
    "ExportCheckError",
    "ExportOptions",
    "ExportReport",
    "export_model",
]
