"""The format LiteRT (TensorFlow Lite), with static shapes."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.formats.saved_model_format import concrete_function, save_functions
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program


def write_litert(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write each program as a `.tflite` file."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        saved_model = Path(folder) / "saved_model"
        save_functions(
            {program.name: concrete_function(program, program.sizes) for program in programs},
            programs,
            saved_model,
        )
        paths = []
        for program in programs:
            with _quiet():
                converter = tf.lite.TFLiteConverter.from_saved_model(
                    str(saved_model), signature_keys=[program.name]
                )
                if options.weights != "float32":
                    converter.optimizations = [tf.lite.Optimize.DEFAULT]
                if options.weights == "float16":
                    converter.target_spec.supported_types = [tf.float16]
                content = converter.convert()
            path = directory / f"{program.name}.tflite"
            path.write_bytes(content)
            paths.append(path)
    return paths


def load_litert(program: Program, path: Path) -> LoadedProgram:
    """Load a `.tflite` file with TensorFlow's interpreter."""
    import tensorflow as tf

    with _quiet():
        interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    shapes = {
        name: tuple(int(side) for side in detail["shape"])
        for name, detail in runner.get_input_details().items()
    }

    def run(inputs: Arrays) -> Arrays:
        outputs: dict[str, Any] = runner(**inputs)
        return outputs

    return LoadedProgram(shapes, run)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the notice that the interpreter will move to another package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


LITERT = ExportFormat(
    name="litert",
    backend="tensorflow",
    weights=("float32", "float16", "int8"),
    packages=(),
    write=write_litert,
    load=load_litert,
    is_static=True,
)
