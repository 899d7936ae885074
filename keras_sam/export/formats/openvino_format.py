"""The format OpenVINO IR, converted from ONNX and checked by OpenVINO."""

from pathlib import Path

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.formats.onnx_format import save_onnx
from keras_sam.export.formats.onnx_model import program_to_onnx
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program


def write_openvino(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write each program as an `.xml` file with a `.bin` file."""
    import openvino

    paths = []
    for program in programs:
        path = directory / f"{program.name}.xml"
        path.parent.mkdir(exist_ok=True)
        source = path.with_suffix(".onnx")
        save_onnx(program_to_onnx(program), source)
        model = openvino.convert_model(source)
        openvino.save_model(model, path, compress_to_fp16=options.weights == "float16")
        for file in directory.rglob(f"{source.name}*"):
            file.unlink()
        paths.append(path)
    return paths


def load_openvino(program: Program, path: Path) -> LoadedProgram:
    """Load an `.xml` file with OpenVINO on the CPU, in float32."""
    import openvino

    hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
    compiled = openvino.compile_model(path, "CPU", hint)
    names = [spec.name for spec in program.file_outputs(with_stages=True)]

    def run(inputs: Arrays) -> Arrays:
        outputs = compiled(inputs)
        return {name: outputs[name] for name in names}

    shapes = {
        value.any_name: tuple(
            side.get_length() if side.is_static else None for side in value.partial_shape
        )
        for value in compiled.inputs
    }
    return LoadedProgram(shapes, run)


OPENVINO = ExportFormat(
    name="openvino",
    backend="torch",
    weights=("float16", "float32"),
    packages=("onnx", "onnxscript", "openvino"),
    write=write_openvino,
    load=load_openvino,
    with_stages=True,
)
