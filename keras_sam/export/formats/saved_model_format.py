"""The format SavedModel of TensorFlow."""

from pathlib import Path
from typing import Any

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program
from keras_sam.layers.export_mode import export_mode

NAME = "saved_model"


def write_saved_model(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write one SavedModel with a signature for each program. They share the weights."""
    path = directory / NAME
    save_functions(
        {program.name: concrete_function(program) for program in programs}, programs, path
    )
    return [path] * len(programs)


def save_functions(functions: dict[str, Any], programs: tuple[Program, ...], path: Path) -> None:
    """Save traced functions as the signatures of a SavedModel.

    Args:
        functions: Outputs of `concrete_function` by the name of the signature.
        programs: Programs that were traced.
        path: Path of the new directory.
    """
    import tensorflow as tf

    layers = {id(layer): layer for program in programs for layer in program.layers}
    module = tf.Module()
    module.weights = [variable.value for layer in layers.values() for variable in layer.variables]
    tf.saved_model.save(module, path, signatures=functions)


def concrete_function(program: Program, sizes: dict[str, int] | None = None) -> Any:
    """Trace a program as a function of TensorFlow with named inputs and outputs.

    Args:
        program: Program to trace.
        sizes: Lengths of the named axes. If `None`, they stay dynamic.
    """
    import tensorflow as tf

    specs = {
        spec.name: tf.TensorSpec(
            spec.sized(sizes)
            if sizes is not None
            else [side if isinstance(side, int) else None for side in spec.shape],
            spec.dtype,
            spec.name,
        )
        for spec in program.inputs
    }

    def function(**arrays: Any) -> dict[str, Any]:
        outputs = program.function(*(arrays[spec.name] for spec in program.inputs))
        return {spec.name: output for spec, output in zip(program.outputs, outputs, strict=True)}

    with export_mode():
        return tf.function(function, autograph=False).get_concrete_function(**specs)


def load_saved_model(program: Program, path: Path) -> LoadedProgram:
    """Load a signature of a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    specs = loaded.signatures[program.name].structured_input_signature[1]

    def run(inputs: Arrays) -> Arrays:
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        outputs = loaded.signatures[program.name](**tensors)
        return {name: output.numpy() for name, output in outputs.items()}

    return LoadedProgram({name: tuple(spec.shape) for name, spec in specs.items()}, run)


SAVED_MODEL = ExportFormat(
    name="savedmodel",
    backend="tensorflow",
    weights=("float32",),
    packages=(),
    write=write_saved_model,
    load=load_saved_model,
)
