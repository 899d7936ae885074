"""Prompts simulated from ground-truth masks, inside the compiled training step.

Masks lie on the low-res grid `(L, L)`; points and boxes come in pixels of the model frame.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

BOX_NOISE = 0.1  # standard deviation as a share of the box's side (arXiv 2304.02643, appendix A)
BOX_NOISE_LIMIT = 20 / 1024  # and its limit, 20 pixels of a frame of 1,024


def sample_point(
    masks: Any, *, image_size: tuple[int, int], deep_probability: float = 0.0, seed: Any
) -> Any:
    """A point inside each mask: uniform over it, or deep inside.

    Args:
        masks: `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        deep_probability: chance of a deep point, one that most of its neighborhood joins in
            the mask.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        `(B, P, 2)` (x, y).
    """
    noise = keras.random.uniform(ops.shape(masks), seed=seed)
    score = masks * (1.0 + noise)
    if deep_probability:
        deep = keras.random.uniform((*ops.shape(masks)[:2], 1, 1), seed=seed) < deep_probability
        score = ops.where(deep, masks * (1.0 + _depth(masks) + 0.02 * noise), score)
    return _grid_argmax(score, image_size)


def sample_error_point(
    logits: Any, masks: Any, *, image_size: tuple[int, int], seed: Any
) -> tuple[Any, Any]:
    """A point drawn uniformly from where a prediction is wrong.

    Args:
        logits: `(B, P, L, L)`.
        masks: the truth `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        Points `(B, P, 1, 2)` and labels `(B, P, 1)`: 1 where foreground was missed, 0 where
        background was taken. Without any error, a point of the mask.
    """
    wrong = ops.cast((logits > 0) != (masks > 0.5), "float32")
    noise = keras.random.uniform(ops.shape(masks), seed=seed)
    score = 3.0 * wrong * (1.0 + noise) + masks * noise
    points = _grid_argmax(score, image_size)[:, :, None]
    labels = _at_argmax(masks, score)
    return points, ops.cast(labels > 0.5, "int32")[..., None]


def jitter_box(
    masks: Any, *, image_size: tuple[int, int], noise: float = BOX_NOISE, seed: Any
) -> Any:
    """The box of each mask with noise on its corners.

    Args:
        masks: `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        noise: its standard deviation as a share of the box's side.
        seed: a `keras.random.SeedGenerator`.

    Returns:
        `(B, P, 2, 2)`, corners (x, y), top left first.
    """
    y0, y1 = _extent(ops.max(masks, axis=3))
    x0, x1 = _extent(ops.max(masks, axis=2))
    low_res = ops.array([masks.shape[3], masks.shape[2]], dtype="float32")
    size = ops.array([image_size[1], image_size[0]], dtype="float32")
    top_left = ops.stack([x0, y0], axis=-1) / low_res * size
    bottom_right = ops.stack([x1, y1], axis=-1) / low_res * size
    side = bottom_right - top_left
    corners = ops.stack([top_left, bottom_right], axis=2)  # (B, P, 2, 2)
    deviation = ops.minimum(noise * side, BOX_NOISE_LIMIT * size)[:, :, None]
    shift = keras.random.normal(ops.shape(corners), seed=seed) * deviation
    return ops.clip(corners + shift, 0.0, size)


def _depth(masks: Any) -> Any:
    """How far inside its mask a pixel lies, in 0..1: shares of squares around it, averaged.

    The larger squares are taken on a grid four times coarser. A mean over squares is a product
    with one matrix from the left and one from the right, on a CPU far faster than pooling.
    """
    coarse = _products(_cell_means, masks, 4)
    far = sum(_products(_window_means, coarse, side) for side in (3, 7))
    far = ops.repeat(ops.repeat(far, 4, axis=2), 4, axis=3)
    return (_products(_window_means, masks, 5) + far) / 3.0


def _products(matrix: Callable[[int, int], np.ndarray], grids: Any, size: int) -> Any:
    """`matrix grid matrixᵀ` of each of `(B, P, H, W)`."""
    height, width = grids.shape[2:]
    return ops.matmul(ops.matmul(matrix(height, size), grids), matrix(width, size).T)


@functools.cache
def _window_means(length: int, side: int) -> np.ndarray:
    """Mean over the `side` numbers around each of `length`, fewer at the ends: a matrix."""
    places = np.arange(length)
    near = np.abs(places[:, None] - places) <= side // 2
    return (near / near.sum(axis=1, keepdims=True)).astype("float32")


@functools.cache
def _cell_means(length: int, size: int) -> np.ndarray:
    """Mean over each `size` of `length` numbers: a matrix `(length / size, length)`."""
    return np.repeat(np.eye(length // size, dtype="float32"), size, axis=1) / np.float32(size)


def _grid_argmax(score: Any, image_size: tuple[int, int]) -> Any:
    """Where `(B, P, L, L)` is largest, `(B, P, 2)` pixels (x, y) of the model frame."""
    height, width = score.shape[2], score.shape[3]
    index = ops.argmax(_flat(score), axis=-1)
    y, x = index // width, index % width
    place = ops.cast(ops.stack([x, y], axis=-1), "float32") + 0.5
    scale = ops.array([image_size[1] / width, image_size[0] / height], dtype="float32")
    return place * scale - 0.5  # pixel centers


def _at_argmax(values: Any, score: Any) -> Any:
    index = ops.argmax(_flat(score), axis=-1)[..., None]
    return ops.take_along_axis(_flat(values), index, axis=-1)[..., 0]


def _flat(grid: Any) -> Any:
    return ops.reshape(grid, (-1, grid.shape[1], grid.shape[2] * grid.shape[3]))


def _extent(line: Any) -> tuple[Any, Any]:
    """First and last + 1 index of the ones in `(B, P, L)`, as float32 `(B, P)`."""
    length = line.shape[-1]
    first = ops.argmax(line, axis=-1)
    last = length - ops.argmax(ops.flip(line, axis=-1), axis=-1)
    return ops.cast(first, "float32"), ops.cast(last, "float32")
