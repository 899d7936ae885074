"""The format StableHLO, serialized by `jax.export`."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, ArraySpec, Program
from keras_sam.layers.export_mode import export_mode

PLATFORMS = ("cpu", "cuda", "tpu")
WEIGHTS_SUFFIX = ".safetensors"


def write_stablehlo(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write each program as a `.stablehlo` file, and its weights as a `.safetensors` file.

    The first argument of the program is a dictionary of the weights, with the names in the file.
    """
    from safetensors.numpy import save_file

    paths = []
    for program in programs:
        path = directory / f"{program.name}.stablehlo"
        weights = {
            name: np.asarray(variable.value) for name, variable in _variables(program).items()
        }
        path.write_bytes(_serialize(program, weights))
        save_file(weights, path.with_suffix(WEIGHTS_SUFFIX))
        paths.append(path)
    return paths


def load_stablehlo(program: Program, path: Path) -> LoadedProgram:
    """Load a `.stablehlo` file and its weights with JAX."""
    from jax import export
    from safetensors.numpy import load_file

    exported = export.deserialize(path.read_bytes())
    weights = load_file(path.with_suffix(WEIGHTS_SUFFIX))
    names = [spec.name for spec in program.outputs]

    def run(inputs: Arrays) -> Arrays:
        outputs = exported.call(weights, *(inputs[spec.name] for spec in program.inputs))
        return dict(zip(names, map(np.asarray, outputs), strict=True))

    shapes = {
        spec.name: tuple(side if isinstance(side, int) else None for side in aval.shape)
        for spec, aval in zip(program.inputs, exported.in_avals[len(weights) :], strict=True)
    }
    return LoadedProgram(shapes, run)


def _serialize(program: Program, weights: dict[str, np.ndarray]) -> bytes:
    import jax
    import keras
    from jax import export

    variables = _variables(program)

    def function(weights: dict[str, Any], *arrays: Any) -> tuple[Any, ...]:
        mapping = [(variables[name], weights[name]) for name in variables]
        with keras.StatelessScope(state_mapping=mapping):
            return program.function(*arrays)

    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in weights.items()}
    scope = export.SymbolicScope()
    arguments = [_argument(spec, scope) for spec in program.inputs]
    with export_mode():
        exported = export.export(jax.jit(function), platforms=PLATFORMS)(shapes, *arguments)
    return bytes(exported.serialize())


def _argument(spec: ArraySpec, scope: Any) -> Any:
    import jax
    from jax import export

    text = ", ".join(map(str, spec.shape))
    shape = export.symbolic_shape(text, scope=scope) if spec.shape else ()
    return jax.ShapeDtypeStruct(shape, spec.dtype)


def _variables(program: Program) -> dict[str, Any]:
    """Return the variables of a program's layers by their paths."""
    return {variable.path: variable for layer in program.layers for variable in layer.variables}


STABLEHLO = ExportFormat(
    name="stablehlo",
    backend="jax",
    weights=("float32",),
    packages=(),
    write=write_stablehlo,
    load=load_stablehlo,
)
