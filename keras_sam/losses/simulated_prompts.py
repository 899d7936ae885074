"""Points and boxes simulated from ground-truth masks, inside the compiled training step.

Masks are on the low-res grid `(L, L)`. Points and boxes are in pixels of the model frame.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.types import Size

# Noise of simulated boxes (arXiv 2304.02643, appendix A): the standard deviation as a share of
# the box's side, and its maximum, 20 pixels of a frame of 1,024.
BOX_NOISE = 0.1
MAX_BOX_NOISE = 20 / 1024


def sample_point(
    masks: Any, *, image_size: Size, center_probability: float = 0.0, seed: Any
) -> Any:
    """Sample a point inside each mask, uniformly or near its center.

    Args:
        masks: Masks `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        center_probability: Probability that a point is where `mask_depth` is largest, up to a
            little noise.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Points `(B, P, 2)` (x, y), float32.
    """
    noise = keras.random.uniform(ops.shape(masks), seed=seed)
    score = masks * (1.0 + noise)
    if center_probability:
        draw = keras.random.uniform((*ops.shape(masks)[:2], 1, 1), seed=seed)
        center_score = masks * (1.0 + mask_depth(masks) + 0.02 * noise)
        score = ops.where(draw < center_probability, center_score, score)
    return _argmax_point(score, image_size)


def sample_error_point(logits: Any, masks: Any, *, image_size: Size, seed: Any) -> tuple[Any, Any]:
    """Sample a point uniformly from the error region of each prediction.

    Args:
        logits: Predicted logits `(B, P, L, L)`.
        masks: Ground-truth masks `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Points `(B, P, 1, 2)` (x, y), float32, and labels `(B, P, 1)`, int32: 1 for a false
        negative, 0 for a false positive. If there is no error, a point inside the mask.
    """
    error = ops.cast((logits > 0) != (masks > 0.5), "float32")
    noise = keras.random.uniform(ops.shape(masks), seed=seed)
    score = 3.0 * error * (1.0 + noise) + masks * noise
    points = _argmax_point(score, image_size)[:, :, None]
    labels = ops.take_along_axis(_flatten(masks), _argmax(score)[..., None], axis=-1)
    return points, ops.cast(labels > 0.5, "int32")


def jitter_box(masks: Any, *, image_size: Size, noise: float = BOX_NOISE, seed: Any) -> Any:
    """Compute the box of each mask and add noise to its corners.

    Args:
        masks: Masks `(B, P, L, L)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        noise: Standard deviation as a share of the box's side. It is limited to
            `MAX_BOX_NOISE` of the frame's side.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Boxes `(B, P, 2, 2)`, float32: the top-left and bottom-right corners (x, y).
    """
    y0, y1 = _extent(ops.max(masks, axis=3))
    x0, x1 = _extent(ops.max(masks, axis=2))
    low_res_size = ops.array([masks.shape[3], masks.shape[2]], dtype="float32")
    size = ops.array([image_size[1], image_size[0]], dtype="float32")
    top_left = ops.stack([x0, y0], axis=-1) / low_res_size * size
    bottom_right = ops.stack([x1, y1], axis=-1) / low_res_size * size
    corners = ops.stack([top_left, bottom_right], axis=2)  # (B, P, 2, 2)
    deviation = ops.minimum(noise * (bottom_right - top_left), MAX_BOX_NOISE * size)[:, :, None]
    shift = keras.random.normal(ops.shape(corners), seed=seed) * deviation
    return ops.clip(corners + shift, 0.0, size)


def mask_depth(masks: Any) -> Any:
    """Measure how deep inside its mask each pixel lies.

    The depth is the average foreground share of three squares around the pixel: 5 x 5 pixels,
    and 3 x 3 and 7 x 7 cells of 4 x 4 pixels. Means over squares are computed as matrix
    products, which are much faster than pooling on a CPU.

    Args:
        masks: Masks `(B, P, H, W)`, 0 or 1. `H` and `W` are multiples of 4.

    Returns:
        Depths `(B, P, H, W)`, float32, in [0, 1].
    """
    cells = _apply_to_both_axes(_cell_mean_matrix, masks, 4)
    wide = sum(_apply_to_both_axes(_window_mean_matrix, cells, side) for side in (3, 7))
    wide = ops.repeat(ops.repeat(wide, 4, axis=2), 4, axis=3)
    return (_apply_to_both_axes(_window_mean_matrix, masks, 5) + wide) / 3.0


def _apply_to_both_axes(matrix: Callable[[int, int], np.ndarray], grids: Any, size: int) -> Any:
    """Multiply grids `(B, P, H, W)` by a matrix from the left and by its transpose."""
    height, width = grids.shape[2:]
    return ops.matmul(ops.matmul(matrix(height, size), grids), matrix(width, size).T)


@functools.cache
def _window_mean_matrix(length: int, side: int) -> np.ndarray:
    """Matrix `(length, length)` of means over `side` neighbors, fewer at the ends."""
    positions = np.arange(length)
    is_near = np.abs(positions[:, None] - positions) <= side // 2
    return (is_near / is_near.sum(axis=1, keepdims=True)).astype("float32")


@functools.cache
def _cell_mean_matrix(length: int, size: int) -> np.ndarray:
    """Matrix `(length / size, length)` of means over cells of `size`."""
    return np.repeat(np.eye(length // size, dtype="float32"), size, axis=1) / np.float32(size)


def _argmax_point(score: Any, image_size: Size) -> Any:
    """Return the center `(B, P, 2)` (x, y) of the cell with the largest of `(B, P, L, L)`."""
    height, width = score.shape[2], score.shape[3]
    index = _argmax(score)
    cell = ops.cast(ops.stack([index % width, index // width], axis=-1), "float32")
    scale = ops.array([image_size[1] / width, image_size[0] / height], dtype="float32")
    return (cell + 0.5) * scale - 0.5  # pixel (0, 0) has its center at (0, 0)


def _argmax(score: Any) -> Any:
    return ops.argmax(_flatten(score), axis=-1)


def _flatten(grid: Any) -> Any:
    return ops.reshape(grid, (-1, grid.shape[1], grid.shape[2] * grid.shape[3]))


def _extent(line: Any) -> tuple[Any, Any]:
    """Return the first and last + 1 index of the ones in `(B, P, L)`, float32 `(B, P)`."""
    first = ops.argmax(line, axis=-1)
    last = line.shape[-1] - ops.argmax(ops.flip(line, axis=-1), axis=-1)
    return ops.cast(first, "float32"), ops.cast(last, "float32")
