"""`trace_with_torch`: a program as a graph of `torch.export`."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_sam.engines.quiet_loggers import quiet_loggers
from keras_sam.export.program import ArraySpec, Program
from keras_sam.layers.export_mode import export_mode

LOGGERS = "torch.onnx", "torch.export", "onnxscript"
MAX_LENGTH = 65536  # of a named axis


def trace_with_torch(program: Program) -> Any:
    """Trace a program into a `torch.export.ExportedProgram`, with named axes as dynamic ones."""
    import torch

    class Module(torch.nn.Module):
        def forward(self, *arrays: Any) -> tuple[Any, ...]:
            return program.function(*arrays)

    example = tuple(map(torch.from_numpy, program.example().values()))
    dims: dict[str, Any] = {}
    shapes = tuple(_dynamic_axes(spec, dims) for spec in program.inputs)
    with export_mode(), torch.no_grad(), quiet_torch():
        return torch.export.export(Module().eval(), example, dynamic_shapes=(shapes,), strict=False)


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Hide messages of the exporters that users cannot act upon."""
    with quiet_loggers(*LOGGERS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _dynamic_axes(spec: ArraySpec, dims: dict[str, Any]) -> dict[int, Any]:
    import torch

    axes = {}
    for axis, side in enumerate(spec.shape):
        if isinstance(side, str):
            dims.setdefault(side, torch.export.Dim(side, min=1, max=MAX_LENGTH))
            axes[axis] = dims[side]
    return axes
