"""`check_program`: an exported file, compared with the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_sam.export.formats.export_format import ExportFormat
from keras_sam.export.program import Arrays, Program, run_reference

# Largest relative error of a float output, by type of the weights.
BOUNDS = {"float32": 1e-3, "float16": 0.02, "int8": 0.25, "uint8": 0.25}
# Share of pixels of a mask that may differ.
MASK_BOUNDS = {"float32": 1e-3, "float16": 0.01, "int8": 0.2, "uint8": 0.2}


@dataclass(frozen=True)
class Difference:
    """Difference between an exported file and the model.

    Attributes:
        program: Name of the program.
        output: Name of the output.
        relative_error: L2 norm of the difference, divided by that of the model's output.
        max_error: Largest absolute difference.
        agreement: Share of pixels that are on the same side of the mask threshold. `None` for
            other outputs.
    """

    program: str
    output: str
    relative_error: float
    max_error: float
    agreement: float | None = None


class ExportCheckError(RuntimeError):
    """An exported file that differs from the model."""


def check_program(
    format: ExportFormat, program: Program, path: Path, *, weights: str, earlier: Arrays
) -> list[Difference]:
    """Load an exported file, and compare it with the model at other sizes than it was traced with.

    Args:
        format: Format of the file.
        program: Program that was exported.
        path: Path of the file.
        weights: Type of the stored weights.
        earlier: Outputs of the program before, used as inputs. Outputs of this one are added.

    Returns:
        Largest difference of each output.

    Raises:
        ExportCheckError: If an axis is fixed that should not be, or an output differs.
    """
    loaded = format.load(program, path)
    if not format.is_static:
        _check_axes(program, loaded.shapes, with_stages=format.with_stages)
    random = np.random.default_rng(0)
    differences: dict[str, Difference] = {}
    for sizes in (program.sizes,) if format.is_static else program.check_sizes:
        stages = {"with_stages": format.with_stages}
        inputs = program.sample_inputs(random, sizes, earlier, **stages)
        expected = run_reference(program, inputs, **stages)
        actual = loaded.run(inputs)
        for name, array in expected.items():
            new = _compare(program.name, name, actual[name], array)
            old = differences.get(name)
            if old is None or new.relative_error > old.relative_error:
                differences[name] = new
        earlier |= expected
    for difference in differences.values():
        _check_bound(difference, weights)
    return list(differences.values())


def _check_axes(
    program: Program, shapes: Mapping[str, tuple[int | None, ...]], *, with_stages: bool
) -> None:
    for spec in program.file_inputs(with_stages=with_stages):
        expected = tuple(None if isinstance(side, str) else side for side in spec.shape)
        if tuple(shapes[spec.name]) != expected:
            raise ExportCheckError(
                f"input {spec.name} of {program.name} has the shape {shapes[spec.name]}, expected "
                f"{expected}: the exporter fixed an axis or did not fix one"
            )


def _compare(program: str, name: str, actual: np.ndarray, expected: np.ndarray) -> Difference:
    if actual.shape != expected.shape:
        raise ExportCheckError(
            f"output {name} of {program} has the shape {actual.shape}, the model's is "
            f"{expected.shape}"
        )
    difference = actual.astype(np.float64) - expected
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    error = float(np.linalg.norm(difference) / max(norm, 1e-12))
    is_mask = "mask" in name
    return Difference(
        program,
        name,
        error if np.isfinite(actual).all() else float("inf"),
        float(np.abs(difference).max()),
        float(((actual > 0) == (expected > 0)).mean()) if is_mask else None,
    )


def _check_bound(difference: Difference, weights: str) -> None:
    if difference.agreement is not None and not np.isinf(difference.relative_error):
        error, bound = 1 - difference.agreement, MASK_BOUNDS[weights]
    else:
        error, bound = difference.relative_error, BOUNDS[weights]
    if not error <= bound:
        raise ExportCheckError(
            f"output {difference.output} of {difference.program} differs from the model's by "
            f"{error:.2g}, more than {bound:g} for {weights} weights"
        )
