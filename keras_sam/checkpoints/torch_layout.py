"""Weights in the layout of PyTorch, which transformers and Meta share."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.hdf5_weights import check_names, finite

Shape = tuple[int, ...]


class TensorFile(Protocol):
    """An opened file of named tensors: their shapes at once, each tensor when asked for."""

    shapes: dict[str, Shape]

    def read(self, name: str) -> np.ndarray:
        """One tensor as it is stored."""


class TorchArrays(Mapping[str, np.ndarray]):
    """Tensors in the layout of Keras, each read when it is asked for."""

    def __init__(self, places: Mapping[str, tuple[TensorFile, str]], source: str) -> None:
        self._places = places
        self._source = source

    def __getitem__(self, name: str) -> np.ndarray:
        file, tensor = self._places[name]
        array = to_keras_layout(name, file.read(tensor))
        return finite(array, tensor, source=self._source)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def open_torch_arrays(
    tensors: Mapping[str, str],
    places: Mapping[str, TensorFile],
    shapes: Mapping[str, Shape],
    *,
    source: str,
) -> TorchArrays:
    """Arrays under our names, after checking that exactly the expected tensors are there.

    Args:
        tensors: name of each weight to its tensor.
        places: every tensor that was found to the file that holds it.
        shapes: name of each weight to its shape in the layout of Keras.
        source: what was read, for messages.

    Raises:
        CheckpointError: that lists missing and left-over tensors, or those of another shape.
    """
    check_names(tensors.values(), places, source=source)
    wrong = []
    for name, tensor in tensors.items():
        found, expected = places[tensor].shapes[tensor], torch_shape(name, shapes[name])
        if found != expected:
            wrong.append(f"{tensor} has shape {found}, expected {expected}")
    if wrong:
        more = f" and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise CheckpointError(f"the weights of '{source}' do not fit: {'; '.join(wrong[:8])}{more}")
    return TorchArrays({name: (places[tensor], tensor) for name, tensor in tensors.items()}, source)


def torch_shape(name: str, shape: Shape) -> Shape:
    """The shape in PyTorch of a weight whose shape here is `shape`."""
    axes = _torch_axes(name, len(shape))
    return tuple(shape[axis] for axis in axes)


def to_keras_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    """A tensor of PyTorch in the layout of Keras.

    Linear `(out, in)` to `(in, out)`; convolution `(out, in, h, w)` to `(h, w, in, out)`, and
    transposed convolution `(in, out, h, w)` to `(h, w, out, in)`, by one permutation; depthwise
    convolution `(in, 1, h, w)` to `(h, w, in, 1)`.
    """
    return tensor.transpose(np.argsort(_torch_axes(name, tensor.ndim)))


def to_torch_layout(name: str, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_keras_layout`, contiguous."""
    return np.ascontiguousarray(array.transpose(_torch_axes(name, array.ndim)))


def _torch_axes(name: str, count: int) -> tuple[int, ...]:
    """Which axis of a weight here is each axis of its tensor in PyTorch."""
    if not name.endswith("/kernel"):
        return tuple(range(count))
    if count == 2:
        return 1, 0
    return (2, 3, 0, 1) if name.endswith("/depthwise/kernel") else (3, 2, 0, 1)
