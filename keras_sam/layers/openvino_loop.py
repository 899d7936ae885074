"""`openvino_loop`: a function applied to slices of tensors, as a loop in OpenVINO."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops


def openvino_loop(function: Callable[..., Any], tensors: Sequence[Any], *, axis: int) -> Any:
    """Apply a function to each slice of length 1, and concatenate the results.

    The slices share one loop body and its memory. `ops.map` (Keras 3.15) would repeat the
    operations for each slice.

    Args:
        function: Function of one slice of each tensor, all in float32. It must use no other
            tensors except constants.
        tensors: Tensors with static shapes, the same dtype, and the same length along the axis.
        axis: Axis of the slices and of the concatenation.

    Returns:
        Concatenated results, in the dtype of the tensors.
    """
    import openvino
    from keras.src.backend.openvino.core import OpenVINOKerasTensor, get_ov_output
    from openvino import opset16

    slices = []
    for tensor in tensors:
        shape = [1 if index == axis else size for index, size in enumerate(tensor.shape)]
        slices.append(opset16.parameter(shape, openvino.Type.f32))
    output = function(*(OpenVINOKerasTensor(part.output(0)) for part in slices))
    result = opset16.result(get_ov_output(output))
    loop = opset16.tensor_iterator()
    loop.set_body(openvino.Model([result], slices))
    for tensor, part in zip(tensors, slices, strict=True):
        whole = get_ov_output(ops.cast(tensor, "float32"))
        loop.set_sliced_input(part, whole, 0, 1, 1, -1, axis)
    joined = loop.get_concatenated_slices(result.output(0), 0, 1, 1, -1, axis)
    return ops.cast(OpenVINOKerasTensor(joined), tensors[0].dtype)
