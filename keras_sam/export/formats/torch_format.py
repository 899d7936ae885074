"""The format of `torch.export`, `.pt2` files."""

from pathlib import Path

from keras_sam.export.formats.export_format import ExportFormat, LoadedProgram
from keras_sam.export.formats.torch_program import quiet_torch, trace_with_torch
from keras_sam.export.options import ExportOptions
from keras_sam.export.program import Arrays, Program


def write_torch(
    programs: tuple[Program, ...], options: ExportOptions, directory: Path
) -> list[Path]:
    """Write each program as a `.pt2` file."""
    import torch

    paths = []
    for program in programs:
        path = directory / f"{program.name}.pt2"
        with quiet_torch():
            torch.export.save(trace_with_torch(program), path)
        paths.append(path)
    return paths


def load_torch(program: Program, path: Path) -> LoadedProgram:
    """Load a `.pt2` file."""
    import torch

    exported = torch.export.load(path)
    module = exported.module()
    placeholders = {
        node.name: node.meta["val"].shape
        for node in exported.graph.nodes
        if node.op == "placeholder" and node.name in exported.graph_signature.user_inputs
    }
    shapes = {
        spec.name: tuple(side if isinstance(side, int) else None for side in shape)
        for spec, shape in zip(program.inputs, placeholders.values(), strict=True)
    }

    def run(inputs: Arrays) -> Arrays:
        with torch.no_grad():
            tensors = [torch.from_numpy(inputs[spec.name].copy()) for spec in program.inputs]
            outputs = module(*tensors)
        return {
            spec.name: output.numpy() for spec, output in zip(program.outputs, outputs, strict=True)
        }

    return LoadedProgram(shapes, run)


TORCH = ExportFormat(
    name="torch",
    backend="torch",
    weights=("float32",),
    packages=(),
    write=write_torch,
    load=load_torch,
)
