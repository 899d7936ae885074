"""`program_to_onnx`: a program as an ONNX model."""

from typing import Any

import numpy as np

from keras_sam.export.formats.torch_program import quiet_torch, trace_with_torch
from keras_sam.export.program import ArraySpec, OnnxStage, Program

# onnxruntime-web 1.14 refuses later ones. torch writes opset 18, and 17 by a faulty conversion.
OPSET, IR_VERSION = 18, 8
PRODUCER = "keras_sam"


def program_to_onnx(program: Program) -> Any:
    """Convert a program to an `onnx_ir.Model`, with its stages.

    Args:
        program: Program to convert, on the torch backend.
    """
    import torch

    exported = trace_with_torch(program)
    with quiet_torch(), torch.no_grad():
        onnx_program = torch.onnx.export(
            exported,
            dynamo=True,
            opset_version=OPSET,
            input_names=[spec.name for spec in program.inputs],
            output_names=[spec.name for spec in program.outputs],
            verbose=False,
        )
    model = onnx_program.model
    _rename_axes(model.graph, program)
    if program.before is not None:
        _add_before(model.graph, program.before)
    if program.after is not None:
        _add_after(model.graph, program.after)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, None
    return model


def _rename_axes(graph: Any, program: Program) -> None:
    """Give dynamic axes the names in the program, in all shapes of the graph."""
    import onnx_ir

    names = {}
    for value, spec in zip(graph.inputs, program.inputs, strict=True):
        for dim, side in zip(value.shape, spec.shape, strict=True):
            if isinstance(side, str):
                names[str(dim)] = side
    values = [*graph.inputs, *(output for node in graph for output in node.outputs)]
    for value in values:
        if value.shape is not None:
            sides = [names.get(str(dim), dim) for dim in value.shape]
            value.shape = onnx_ir.Shape(sides)
    for value, spec in zip(graph.outputs, program.outputs, strict=True):
        value.shape = onnx_ir.Shape(spec.shape)
    for node in graph:  # paths of this machine, and names of the tracer
        node.doc_string = None
        node.metadata_props.clear()


def _add_before(graph: Any, stage: OnnxStage) -> None:
    """Insert a stage before the graph, whose outputs replace inputs of the graph."""
    import onnx_ir

    inputs = {spec.name: _new_input(spec) for spec in stage.inputs}
    tape = onnx_ir.tape.Tape()
    outputs = stage.add(tape, dict(inputs))
    replaced = [value for value in graph.inputs if value.name in outputs]
    for value in replaced:
        onnx_ir.convenience.replace_all_uses_with(value, outputs[value.name])
    kept = [value for value in graph.inputs if value.name not in outputs]
    first = next(iter(graph))
    for value in replaced:
        value.name = f"{value.name}_of_stage"
    graph.insert_before(first, tape.nodes)
    graph.inputs.clear()
    graph.inputs.extend([*inputs.values(), *kept])


def _add_after(graph: Any, stage: OnnxStage) -> None:
    """Append a stage to the graph, whose outputs replace those of the graph."""
    import onnx_ir

    inputs = {spec.name: _new_input(spec) for spec in stage.inputs}
    values = {value.name: value for value in graph.outputs} | inputs
    tape = onnx_ir.tape.Tape()
    outputs = stage.add(tape, values)
    graph.extend(tape.nodes)
    graph.inputs.extend(inputs.values())
    graph.outputs.clear()
    for spec in stage.outputs:
        value = outputs[spec.name]
        value.name = spec.name
        value.shape, value.dtype = onnx_ir.Shape(spec.shape), _dtype(spec)
        graph.outputs.append(value)


def _new_input(spec: ArraySpec) -> Any:
    import onnx_ir

    return onnx_ir.Value(
        name=spec.name, shape=onnx_ir.Shape(spec.shape), type=onnx_ir.TensorType(_dtype(spec))
    )


def _dtype(spec: ArraySpec) -> Any:
    import onnx_ir

    return onnx_ir.DataType.from_numpy(np.dtype(spec.dtype))
