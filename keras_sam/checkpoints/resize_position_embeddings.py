"""`resize_position_embeddings`: a checkpoint for images of another size."""

import copy
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.architectures.tiny_vit import PATCH_SIZE
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError

BICUBIC_A = -0.75  # the constant of torch's bicubic interpolation


def resize_position_embeddings(checkpoint: Checkpoint, image_shape: Sequence[int]) -> Checkpoint:
    """The same model for another image size.

    The table of absolute positions is interpolated bicubically, and the tables of relative
    positions of global blocks linearly, both as torch's `interpolate` does without antialiasing
    and without aligned corners. Windows keep their size, and their tables stay. A
    `TinyViTBackbone` has no table to resize.

    Args:
        checkpoint: with or without arrays.
        image_shape: `(height, width, 3)`; multiples of the patch size.

    Raises:
        CheckpointError: if the shape does not fit the model.
    """
    config = copy.deepcopy(checkpoint.config)
    is_backbone = checkpoint.class_name == "SAMBackbone"
    encoder = config["image_encoder"]["config"] if is_backbone else config
    shape = _checked_shape(image_shape, encoder)
    if shape == list(encoder["image_shape"]):
        return checkpoint
    encoder["image_shape"] = shape
    if is_backbone:
        prompts = config["prompt_encoder"]["config"]
        patch = encoder.get("patch_size", PATCH_SIZE)
        prompts["image_embedding_size"] = [side // patch for side in shape[:2]]
        prompts["input_image_size"] = shape[:2]
    arrays: Mapping[str, np.ndarray] = checkpoint.arrays
    if arrays:
        arrays = ResizedArrays(arrays, expected_shapes(checkpoint.class_name, config))
    return replace(checkpoint, config=config, arrays=arrays)


class ResizedArrays(Mapping[str, np.ndarray]):
    """Arrays of which the position tables are resized when they are read."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._arrays = arrays
        self._shapes = shapes

    def __getitem__(self, name: str) -> np.ndarray:
        array, shape = self._arrays[name], self._shapes[name]
        if array.shape == shape:
            return array
        if name.endswith("position_embedding"):
            return resize_grid(array, (shape[1], shape[2]))
        return resize_rows(array, shape[0])

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def resize_grid(table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bicubic interpolation of `(1, H, W, C)` to `(1, *size, C)`."""
    rows = _weights(table.shape[1], size[0], _cubic)
    columns = _weights(table.shape[2], size[1], _cubic)
    resized = np.einsum("ih,bhwc,jw->bijc", rows, table.astype("float64"), columns, optimize=True)
    return resized.astype(table.dtype)


def resize_rows(table: np.ndarray, length: int) -> np.ndarray:
    """Linear interpolation of `(L, C)` to `(length, C)`."""
    weights = _weights(table.shape[0], length, _linear)
    return (weights @ table.astype("float64")).astype(table.dtype)


def _weights(old: int, new: int, kernel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The share `(new, old)` of each old sample in each new one; borders are repeated."""
    places = (np.arange(new) + 0.5) * (old / new) - 0.5  # half-pixel centers
    if kernel is _linear:
        places = np.maximum(places, 0.0)
    weights = np.zeros((new, old))
    first = np.floor(places).astype(int)
    for offset in (-1, 0, 1, 2):
        samples = np.clip(first + offset, 0, old - 1)
        np.add.at(weights, (np.arange(new), samples), kernel(places - (first + offset)))
    return weights


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - np.abs(distance), 0.0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Cubic convolution (Keys, 1981), zero beyond a distance of 2."""
    a, x = BICUBIC_A, np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _checked_shape(image_shape: Any, encoder: Mapping[str, Any]) -> list[int]:
    channels, patch = encoder["image_shape"][2], encoder.get("patch_size", PATCH_SIZE)
    try:
        shape = [operator.index(side) for side in image_shape]
    except TypeError:
        shape = []
    if len(shape) != 3 or shape[2] != channels:
        raise CheckpointError(
            f"image_shape must be three integers (height, width, {channels}), got {image_shape}"
        )
    if any(side < patch or side % patch for side in shape[:2]):
        raise CheckpointError(
            f"height and width of image_shape must be multiples of the patch size {patch}, got "
            f"{image_shape}"
        )
    return shape
