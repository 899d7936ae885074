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

    OpenVINO computes a model of float32 in bfloat16 where it can, unless it is told not to.

    Args:
        graph: an `openvino.Model`.
        dtype: "bfloat16", which is float32 where the device has no bfloat16, or another.
    """
    import openvino

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
