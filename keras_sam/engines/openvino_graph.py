"""`build_graph`, `compile_graph`: a step of a model as an OpenVINO program of fixed shapes."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Program = Callable[..., tuple[np.ndarray, ...]]


def build_graph(step: Callable[..., tuple[Any, ...]], inputs: tuple[Any, ...]) -> Any:
    """Trace a step of Keras operations into an `openvino.Model`.

    Args:
        step: Function of tensors that returns a tuple of tensors.
        inputs: Example arrays with the shapes and dtypes of the inputs.
    """
    import openvino
    from keras.src.backend.openvino.core import OPENVINO_DTYPES, OpenVINOKerasTensor
    from openvino import opset16

    parameters = [
        opset16.parameter(list(value.shape), OPENVINO_DTYPES[str(value.dtype)]) for value in inputs
    ]
    outputs = step(*(OpenVINOKerasTensor(parameter.output(0)) for parameter in parameters))
    return openvino.Model([output.output for output in outputs], parameters)


def compile_graph(graph: Any, dtype: str) -> Program:
    """Compile a graph to a program that computes in a model's dtype.

    Unless an inference precision is given, OpenVINO computes float32 graphs in bfloat16 where it
    can, and chooses itself what stays float32. That is the fastest way, and it fails for some
    graphs that are bfloat16 themselves. So graphs are widened to float32 first.

    Args:
        graph: An `openvino.Model`.
        dtype: Precision of the computation. "bfloat16" falls back to float32 where the device
            does not support it; any other value means float32.
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
        outputs = tuple(map(np.empty, shapes, dtypes))  # the program writes into them directly
        for index, array in enumerate(inputs):
            request.set_input_tensor(index, _to_tensor(array))
        for index, array in enumerate(outputs):
            request.set_output_tensor(index, _to_tensor(array))
        request.infer()
        return outputs

    return run


def _widen(graph: Any) -> None:
    """Convert a bfloat16 graph to float32. Inputs and outputs keep their types."""
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
    """Wrap an array in a tensor that shares its memory. OpenVINO rejects NumPy's bfloat16."""
    import openvino

    if array.dtype.name != "bfloat16":
        return openvino.Tensor(array, shared_memory=True)
    return openvino.Tensor(array.view(np.float16), array.shape, openvino.Type.bf16)
