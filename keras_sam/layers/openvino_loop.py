"""`openvino_loop`: a function of each slice of some tensors, as a loop of OpenVINO."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops


def openvino_loop(function: Callable[..., Any], parts: Sequence[Any], *, axis: int) -> Any:
    """Results of a function of each slice of length 1, joined.

    Where `ops.map` (Keras 3.15) writes the function once for each slice, this is one loop, whose
    memory is used again.

    Args:
        function: of as many tensors as there are parts, in float32 whatever the parts are. It may
            use no other tensor but constants.
        parts: tensors of fixed shapes, of one dtype, and of one length along the axis.
        axis: along which they are sliced, and results are joined.

    Returns:
        Tensor of the dtype of the parts.
    """
    import openvino
    from keras.src.backend.openvino.core import OpenVINOKerasTensor, get_ov_output
    from openvino import opset16

    slices = []
    for part in parts:
        shape = [1 if index == axis else size for index, size in enumerate(part.shape)]
        slices.append(opset16.parameter(shape, openvino.Type.f32))
    found = function(*(OpenVINOKerasTensor(one.output(0)) for one in slices))
    result = opset16.result(get_ov_output(found))
    loop = opset16.tensor_iterator()
    loop.set_body(openvino.Model([result], slices))
    for part, one in zip(parts, slices, strict=True):
        whole = get_ov_output(ops.cast(part, "float32"))
        loop.set_sliced_input(one, whole, 0, 1, 1, -1, axis)
    joined = loop.get_concatenated_slices(result.output(0), 0, 1, 1, -1, axis)
    return ops.cast(OpenVINOKerasTensor(joined), parts[0].dtype)
