"""Conversion of weights between the layouts of PyTorch and of Keras."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from keras_sam.checkpoints.check_arrays import check_finite, check_names, check_shapes
from keras_sam.checkpoints.lazy_arrays import LazyArrays

Shape = tuple[int, ...]

# Variables of a layer in Keras, and the names of the same tensors in PyTorch.
TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class TensorFile(Protocol):
    """An open file of named tensors.

    Attributes:
        shapes: Shape of each tensor by name, without reading the tensor.
    """

    shapes: dict[str, Shape]

    def read(self, name: str) -> np.ndarray:
        """Return one tensor as it is stored."""


def open_torch_arrays(
    tensors: Mapping[str, str],
    files: Mapping[str, TensorFile],
    shapes: Mapping[str, Shape],
    *,
    source: str,
) -> LazyArrays:
    """Return arrays in the layout of Keras, after checking names and shapes of all tensors.

    Args:
        tensors: Tensor name of each weight.
        files: File of each tensor that is present, by tensor name.
        shapes: Shape of each weight in the layout of Keras.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If tensors are missing or unexpected, or have another shape. The message
            lists them.
    """
    check_names(tensors.values(), files, source=source)
    check_shapes(
        {tensor: torch_shape(name, shapes[name]) for name, tensor in tensors.items()},
        {tensor: file.shapes[tensor] for tensor, file in files.items()},
        source=source,
    )

    def read(name: str) -> np.ndarray:
        tensor = tensors[name]
        array = to_keras_layout(name, files[tensor].read(tensor))
        return check_finite(array, tensor, source=source)

    return LazyArrays(tensors, read)


def torch_shape(name: str, shape: Shape) -> Shape:
    """Return the shape in PyTorch of a weight with the given shape in Keras."""
    axes = _torch_axes(name, len(shape))
    return tuple(shape[axis] for axis in axes)


def to_keras_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    """Transpose a tensor of PyTorch to the layout of Keras.

    Linear layers go from `(out, in)` to `(in, out)`, and convolutions from `(out, in, h, w)` to
    `(h, w, in, out)`. The same permutation takes transposed convolutions from `(in, out, h, w)`
    to `(h, w, out, in)`. Depthwise convolutions go from `(in, 1, h, w)` to `(h, w, in, 1)`.
    Other tensors stay as they are.

    Args:
        name: Name of the weight, whose last parts give the kind of layer.
        tensor: Tensor in the layout of PyTorch.
    """
    return tensor.transpose(np.argsort(_torch_axes(name, tensor.ndim)))


def to_torch_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Invert `to_keras_layout`. The result is contiguous."""
    return np.ascontiguousarray(array.transpose(_torch_axes(name, array.ndim)))


def _torch_axes(name: str, count: int) -> tuple[int, ...]:
    """Return the axis in Keras of each axis in PyTorch."""
    if not name.endswith("/kernel"):
        return tuple(range(count))
    if count == 2:
        return 1, 0
    return (2, 3, 0, 1) if name.endswith("/depthwise/kernel") else (3, 2, 0, 1)
