"""`resize_position_embeddings`: a checkpoint for images of another size."""

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import SAM, expected_shapes, image_encoder_part
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.errors import CheckpointError

BICUBIC_A = -0.75  # the constant of PyTorch's bicubic interpolation


def resize_position_embeddings(checkpoint: Checkpoint, image_shape: Sequence[int]) -> Checkpoint:
    """Convert a checkpoint to another image size.

    Position tables that depend on the image size are interpolated as PyTorch's `interpolate` does
    without antialiasing and without aligned corners: tables of absolute positions bicubically,
    and tables of relative positions linearly. Tables of windows keep their size.

    Args:
        checkpoint: Checkpoint, with or without arrays.
        image_shape: `(height, width, 3)`. Height and width must be multiples of the patch size.

    Raises:
        CheckpointError: If the shape does not fit the model.
    """
    config = copy.deepcopy(checkpoint.config)
    class_name, encoder = image_encoder_part(checkpoint.class_name, config)
    patch = IMAGE_ENCODERS[class_name].patch_size(encoder)
    shape = _check_shape(image_shape, encoder["image_shape"][2], patch)
    if shape == list(encoder["image_shape"]):
        return checkpoint
    encoder["image_shape"] = shape
    if checkpoint.class_name == SAM:
        prompts = config["prompt_encoder"]["config"]
        prompts["image_embedding_size"] = [side // patch for side in shape[:2]]
        prompts["input_image_size"] = shape[:2]
    stored = checkpoint.arrays
    arrays: Mapping[str, np.ndarray] = stored
    if stored:
        tables = IMAGE_ENCODERS[class_name].position_tables
        shapes = expected_shapes(checkpoint.class_name, config)
        arrays = LazyArrays(stored, lambda name: _resize(name, stored[name], shapes[name], tables))
    return replace(checkpoint, config=config, arrays=arrays)


def resize_grid(table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Interpolate a table `(1, H, W, C)` bicubically to `(1, *size, C)`."""
    rows = _weights(table.shape[1], size[0], _cubic)
    columns = _weights(table.shape[2], size[1], _cubic)
    resized = np.einsum("ih,bhwc,jw->bijc", rows, table.astype("float64"), columns, optimize=True)
    return resized.astype(table.dtype)


def resize_rows(table: np.ndarray, length: int) -> np.ndarray:
    """Interpolate a table `(L, C)` linearly to `(length, C)`."""
    weights = _weights(table.shape[0], length, _linear)
    return (weights @ table.astype("float64")).astype(table.dtype)


def _resize(
    name: str, array: np.ndarray, shape: tuple[int, ...], tables: Mapping[str, str]
) -> np.ndarray:
    if array.shape == shape:
        return array
    if tables[name.rpartition("/")[2]] == "bicubic":
        return resize_grid(array, (shape[1], shape[2]))
    return resize_rows(array, shape[0])


def _weights(old: int, new: int, kernel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the weight `(new, old)` of each old sample in each new one. Borders are repeated."""
    positions = (np.arange(new) + 0.5) * (old / new) - 0.5  # half-pixel centers
    if kernel is _linear:
        positions = np.maximum(positions, 0.0)
    weights = np.zeros((new, old))
    first = np.floor(positions).astype(int)
    for offset in (-1, 0, 1, 2):
        samples = np.clip(first + offset, 0, old - 1)
        np.add.at(weights, (np.arange(new), samples), kernel(positions - (first + offset)))
    return weights


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - np.abs(distance), 0.0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the cubic convolution kernel (Keys, 1981), which is zero beyond a distance of 2."""
    a, x = BICUBIC_A, np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _check_shape(image_shape: Any, channels: int, patch: int) -> list[int]:
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
