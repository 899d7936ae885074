"""`Program`: one exported file, as a function of Keras tensors and its names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PROMPTS, POINTS = "num_prompts", "num_points"  # names of axes
Arrays = dict[str, np.ndarray]
SampleFn = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Function = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class ArraySpec:
    """An input or output of a program.

    Attributes:
        name: Name in the file.
        shape: Length of each axis, or the name of an axis whose length is only known at run time.
        dtype: Name of the dtype.
        sample: Function that draws values for a shape, to check an exported file with. `None` for
            outputs, and for inputs that are outputs of the program before.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    sample: SampleFn | None = None

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape with the lengths of its named axes."""
        return tuple(sizes[side] if isinstance(side, str) else side for side in self.shape)


@dataclass(frozen=True)
class OnnxStage:
    """Operations before or after a program whose shapes depend on values of the inputs.

    Only graphs of ONNX have such operations, so other formats omit them.

    Attributes:
        inputs: Inputs of the file. After a program, only those that are added to its own.
        outputs: Outputs of the file. Before a program, its inputs that the stage computes.
        add: Function that adds operations to a graph. Takes an `onnx_ir.tape.Tape` and the values
            by name, and returns the outputs by name.
        reference: The same function of NumPy arrays.
    """

    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    add: Callable[[Any, dict[str, Any]], dict[str, Any]]
    reference: Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class Program:
    """One exported file.

    Attributes:
        name: Name of the file without its extension.
        inputs: Inputs of the function, in order.
        outputs: Outputs of the function, in order.
        function: Function of Keras tensors that returns a tuple.
        layers: Layers whose weights the function uses.
        sizes: Lengths of the named axes that the program is traced with. Formats with static
            shapes keep them.
        check_sizes: Lengths that the exported file is checked with.
        before: Operations before the function, for ONNX.
        after: Operations after the function, for ONNX.
    """

    name: str
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    function: Function
    layers: tuple[Any, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    check_sizes: tuple[dict[str, int], ...] = ({},)
    before: OnnxStage | None = None
    after: OnnxStage | None = None

    def file_inputs(self, *, with_stages: bool) -> tuple[ArraySpec, ...]:
        """Return the inputs of the file, with or without those of the stages."""
        inputs = self.inputs
        if with_stages and self.before is not None:
            computed = {spec.name for spec in self.before.outputs}
            inputs = (*self.before.inputs, *(spec for spec in inputs if spec.name not in computed))
        if with_stages and self.after is not None:
            inputs = (*inputs, *self.after.inputs)
        return inputs

    def file_outputs(self, *, with_stages: bool) -> tuple[ArraySpec, ...]:
        """Return the outputs of the file, with or without the stage after the function."""
        return self.after.outputs if with_stages and self.after is not None else self.outputs

    def sample_inputs(
        self,
        random: np.random.Generator,
        sizes: Mapping[str, int],
        earlier: Arrays,
        *,
        with_stages: bool,
    ) -> Arrays:
        """Draw inputs of the file.

        Args:
            random: Random generator.
            sizes: Lengths of the named axes.
            earlier: Outputs of the program before, for inputs without samples.
            with_stages: If True, the file has the stages before and after the function.
        """
        return {
            spec.name: earlier[spec.name]
            if spec.sample is None
            else spec.sample(random, spec.sized(sizes))
            for spec in self.file_inputs(with_stages=with_stages)
        }

    def example(self) -> Arrays:
        """Return inputs of the function with the lengths `sizes`, to trace it with."""
        return {spec.name: np.zeros(spec.sized(self.sizes), spec.dtype) for spec in self.inputs}


def run_reference(program: Program, inputs: Arrays, *, with_stages: bool) -> Arrays:
    """Compute a program's outputs with Keras and NumPy.

    Args:
        program: Program to run.
        inputs: Inputs of the file by name.
        with_stages: If True, the stages before and after the function are computed too.
    """
    from keras import ops

    arrays = dict(inputs)
    if with_stages and program.before is not None:
        arrays |= program.before.reference(arrays)
    tensors = [ops.convert_to_tensor(arrays[spec.name]) for spec in program.inputs]
    outputs = program.function(*tensors)
    arrays |= {
        spec.name: np.asarray(ops.convert_to_numpy(ops.stop_gradient(output)))
        for spec, output in zip(program.outputs, outputs, strict=True)
    }
    if with_stages and program.after is not None:
        arrays |= program.after.reference(arrays)
    return {spec.name: arrays[spec.name] for spec in program.file_outputs(with_stages=with_stages)}
