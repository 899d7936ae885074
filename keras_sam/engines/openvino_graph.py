"""`build_graph`, `compile_graph`: a step of a model as a program of OpenVINO, of fixed shapes."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[..., tuple[np.ndarray, ...]]


def build_graph(step: Callable[..., tuple[Any, ...]], inputs: tuple[Any, ...]) -> Any:
    """The `openvino.Model` of a step of Keras operations on inputs of these shapes and types."""
    import openvino
    from keras.src.backend.openvino.core import OPENVINO_DTYPES, OpenVINOKerasTensor
    from openvino import opset16

    parameters = [
        opset16.parameter(list(value.shape), OPENVINO_DTYPES[str(value.dtype)]) for value in inputs
    ]
    outputs = step(*(OpenVINOKerasTensor(parameter.output(0)) for parameter in parameters))
    return openvino.Model([output.output for output in outputs], parameters)


def compile_graph(graph: Any, dtype: str) -> Program:
    """A program that computes in the type of the model.

    OpenVINO computes a graph of float32 in bfloat16 where it can, unless it is told not to, and
    chooses itself what stays float32. It is fastest so, and fails at some graphs of bfloat16.

    Args:
        graph: an `openvino.Model`; one of bfloat16 becomes one of float32 between its inputs,
            constants and outputs.
        dtype: "bfloat16", which is float32 where the device has no bfloat16, or another.
    """
    import openvino

    _widen(graph)
    precision = openvino.Type.f32
    if dtype == "bfloat16" and "BF16" in _capabilities():
        precision = openvino.Type.bf16
    program = openvino.compile_model(
        graph, "CPU", {openvino.properties.hint.inference_precision: precision}
    )

    request = program.create_infer_request()
    shapes = [tuple(output.shape) for output in program.outputs]
    dtypes = [_numpy_dtype(output.get_element_type()) for output in program.outputs]

    def run(*inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = tuple(map(np.empty, shapes, dtypes))  # written to where they lie, not copied
        for index, array in enumerate(inputs):
            request.set_input_tensor(index, _to_tensor(array))
        for index, array in enumerate(outputs):
            request.set_output_tensor(index, _to_tensor(array))
        request.infer()
        return outputs

    return run


def _widen(graph: Any) -> None:
    """Makes a graph of bfloat16 one of float32; what goes in and comes out keeps its type."""
    from openvino import Type, opset16

    results = [node for node in graph.results if node.get_element_type() == Type.bf16]
    for node in graph.get_ordered_ops():
        if node.get_output_size() != 1 or node.get_output_element_type(0) != Type.bf16:
            continue
        if node.get_type_name() == "Convert":
            node.set_attribute("destination_type", "f32")
        elif node.get_type_name() in ("Constant", "Parameter"):
            users = node.output(0).get_target_inputs()
            wide = opset16.convert(node, "f32").output(0)
            for user in users:
                user.replace_source_output(wide)
    for node in results:
        narrow = opset16.convert(node.input(0).get_source_output(), "bf16").output(0)
        node.input(0).replace_source_output(narrow)
    graph.validate_nodes_and_infer_types()


@functools.cache
def _capabilities() -> tuple[str, ...]:
    import openvino

    return tuple(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _numpy_dtype(element_type: Any) -> np.dtype[Any]:
    import ml_dtypes
    import openvino

    is_bfloat16 = element_type == openvino.Type.bf16
    return np.dtype(ml_dtypes.bfloat16 if is_bfloat16 else element_type.to_dtype())


def _to_tensor(array: np.ndarray) -> Any:
    """An array as a tensor of the same memory; NumPy's bfloat16 is unknown to OpenVINO."""
    import openvino

    if array.dtype.name != "bfloat16":
        return openvino.Tensor(array, shared_memory=True)
    return openvino.Tensor(array.view(np.float16), array.shape, openvino.Type.bf16)
