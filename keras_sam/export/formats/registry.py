"""`EXPORT_FORMATS`: every format of exported files."""

from keras_sam.export.formats.export_format import ExportFormat
from keras_sam.export.formats.litert_format import LITERT
from keras_sam.export.formats.onnx_format import ONNX
from keras_sam.export.formats.openvino_format import OPENVINO
from keras_sam.export.formats.saved_model_format import SAVED_MODEL
from keras_sam.export.formats.stablehlo_format import STABLEHLO
from keras_sam.export.formats.torch_format import TORCH

EXPORT_FORMATS: dict[str, ExportFormat] = {
    format.name: format for format in (ONNX, OPENVINO, LITERT, SAVED_MODEL, TORCH, STABLEHLO)
}
