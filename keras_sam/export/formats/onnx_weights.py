"""Smaller weights of ONNX models: float16 values that are cast, and quantized products."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.engines.quiet_loggers import quiet_loggers

MIN_SIZE = 256  # values of a weight that is worth a cast
FLOAT16_MAX = float(np.finfo(np.float16).max)


def store_as_float16(model: Any) -> None:
    """Store the float32 weights of an `onnx_ir.Model` as float16.

    A cast to float32 follows each weight, which runtimes compute once when they load the file.
    So the graph computes in float32.
    """
    import onnx_ir

    graph = model.graph
    for value in list(graph.initializers.values()):
        is_small = value.const_value.size < MIN_SIZE or value.is_graph_output()
        if value.dtype != onnx_ir.DataType.FLOAT or is_small:
            continue
        array = value.const_value.numpy()
        if np.abs(array).max() > FLOAT16_MAX:
            continue
        name = f"{value.name}_float16"
        half = onnx_ir.Value(
            name=name, const_value=onnx_ir.tensor(array.astype(np.float16), name=name)
        )
        half.shape, half.dtype = value.shape, onnx_ir.DataType.FLOAT16
        graph.initializers[name] = half
        cast = onnx_ir.node("Cast", [half], attributes={"to": onnx_ir.DataType.FLOAT})
        output = cast.outputs[0]
        output.shape, output.dtype = value.shape, onnx_ir.DataType.FLOAT
        onnx_ir.convenience.replace_all_uses_with(value, output)
        del graph.initializers[value.name]
        graph.insert_before(next(iter(graph)), cast)


def quantize_to_uint8(source: Path, destination: Path) -> None:
    """Quantize the products with weights in a file: 8-bit weights, and dynamic activations.

    Args:
        source: ONNX file with float32 weights.
        destination: Path of the new file.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The advice to preprocess the model is hidden, since torch has already done so.
    with quiet_loggers(None):
        quantize_dynamic(
            source,
            destination,
            weight_type=QuantType.QUInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
