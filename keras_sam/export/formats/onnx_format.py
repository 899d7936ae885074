"""The format ONNX, checked by ONNX Runtime."""

from pathlib import Path
from typing import Any

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.formats.onnx_model import program_to_onnx
from keras_sam.export.formats.onnx_weights import quantize_to_uint8, store_as_float16
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program

MAX_BYTES = 2**31 - 2**20  # Protocol Buffers hold less than 2 GiB


def write_onnx(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write each program as an `.onnx` file."""
    paths = []
    for program in programs:
        path = directory / f"{program.name}.onnx"
        path.parent.mkdir(exist_ok=True)
        model = program_to_onnx(program)
        if options.weights == "float16":
            store_as_float16(model)
        save_onnx(model, path)
        if options.weights == "uint8":
            exact = path.rename(path.with_suffix(".float32.onnx"))
            quantize_to_uint8(exact, path)
            exact.unlink()
        paths.append(path)
    return paths


def save_onnx(model: Any, path: Path) -> None:
    """Save an `onnx_ir.Model`, with a second file for weights beyond 2 GiB."""
    import onnx_ir

    size = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    external_data = f"{path.name}.data" if size > MAX_BYTES else None
    onnx_ir.save(model, path, external_data=external_data)


def load_onnx(program: Program, path: Path) -> LoadedProgram:
    """Load an `.onnx` file with ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(names, session.run(None, inputs), strict=True))

    shapes = {
        value.name: tuple(side if isinstance(side, int) else None for side in value.shape)
        for value in session.get_inputs()
    }
    return LoadedProgram(shapes, run)


ONNX = ExportFormat(
    name="onnx",
    backend="torch",
    weights=("float16", "float32", "uint8"),
    packages=("onnx", "onnxscript", "onnxruntime"),
    write=write_onnx,
    load=load_onnx,
    with_stages=True,
)
