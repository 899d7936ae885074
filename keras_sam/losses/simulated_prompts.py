"""Points and boxes simulated from ground-truth masks, inside the compiled training step.

Masks `(B, P, H, W)` have a multiple of the resolution of the low-res grid `(L, L)`. A cell of the
grid is drawn first, then a pixel in it. Points and boxes are in pixels of the model frame.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.losses.low_res_targets import cell_coverage
from keras_sam.types import Size

# Noise of simulated boxes (arXiv 2304.02643, appendix A): the standard deviation as a share of
# the box's side, and its maximum, 20 pixels of a frame of 1,024.
BOX_NOISE = 0.1
MAX_BOX_NOISE = 20 / 1024


def sample_point(
    masks: Any, *, low_res_size: Size, image_size: Size, center_probability: float = 0.0, seed: Any
) -> Any:
    """Sample a point inside each mask, uniformly or near its center.

    Args:
        masks: Masks `(B, P, H, W)`, 0 or 1.
        low_res_size: `(height, width)` of the low-res grid.
        image_size: `(height, width)` of the model frame.
        center_probability: Probability that a point is in the cell where `mask_depth` is largest,
            up to a little noise.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Points `(B, P, 2)` (x, y), float32.
    """
    coverage = cell_coverage(masks, low_res_size)
    noise = keras.random.uniform(ops.shape(coverage), minval=1e-6, maxval=1 - 1e-6, seed=seed)
    # The largest sum of a log probability and Gumbel noise is a sample (arXiv 1611.01144).
    score = ops.log(ops.maximum(coverage, 1e-12)) - ops.log(-ops.log(noise))
    if center_probability:
        draw = keras.random.uniform((*ops.shape(coverage)[:2], 1, 1), seed=seed)
        cells = ops.cast(coverage >= 0.5, "float32")
        center_score = cells * (1.0 + mask_depth(cells) + 0.02 * noise) + coverage
        score = ops.where(draw < center_probability, center_score, score)
    cell = _argmax(score)
    return _sample_pixel(masks, cell, ops.ones_like(cell), low_res_size, image_size, seed)


def sample_error_point(logits: Any, masks: Any, *, image_size: Size, seed: Any) -> tuple[Any, Any]:
    """Sample a point uniformly from the error region of each prediction.

    Args:
        logits: Predicted logits `(B, P, L, L)`.
        masks: Ground-truth masks `(B, P, H, W)`, 0 or 1.
        image_size: `(height, width)` of the model frame.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Points `(B, P, 1, 2)` (x, y), float32, and labels `(B, P, 1)`, int32: 1 for a false
        negative, 0 for a false positive. If there is no error, a point inside the mask.
    """
    low_res_size = (logits.shape[2], logits.shape[3])
    target = ops.cast(cell_coverage(masks, low_res_size) >= 0.5, "float32")
    error = ops.cast((logits > 0) != (target > 0.5), "float32")
    noise = keras.random.uniform(ops.shape(target), seed=seed)
    cell = _argmax(3.0 * error * (1.0 + noise) + target * noise)
    label = ops.take_along_axis(_flatten(target), cell[..., None], axis=-1)
    label = ops.cast(label > 0.5, "int32")
    points = _sample_pixel(masks, cell, label[..., 0], low_res_size, image_size, seed)
    return points[:, :, None], label


def mask_boxes(masks: Any, *, image_size: Size) -> Any:
    """Compute the boxes of masks.

    Args:
        masks: Masks `(B, P, H, W)`, 0 or 1.
        image_size: `(height, width)` of the model frame.

    Returns:
        Boxes `(B, P, 2, 2)`, float32: the top-left and bottom-right corners (x, y).
    """
    y0, y1 = _extent(ops.max(masks, axis=3))
    x0, x1 = _extent(ops.max(masks, axis=2))
    scale = ops.array(
        [image_size[1] / masks.shape[3], image_size[0] / masks.shape[2]], dtype="float32"
    )
    corners = ops.stack([ops.stack([x0, y0], axis=-1), ops.stack([x1, y1], axis=-1)], axis=2)
    return corners * scale


def jitter_boxes(boxes: Any, *, image_size: Size, noise: float = BOX_NOISE, seed: Any) -> Any:
    """Add noise to the corners of boxes.

    Args:
        boxes: Boxes `(B, P, 2, 2)`, float32: the top-left and bottom-right corners (x, y).
        image_size: `(height, width)` of the model frame.
        noise: Standard deviation as a share of the box's side. It is limited to
            `MAX_BOX_NOISE` of the frame's side.
        seed: A `keras.random.SeedGenerator`.

    Returns:
        Boxes `(B, P, 2, 2)`, float32, within the model frame.
    """
    size = ops.array([image_size[1], image_size[0]], dtype="float32")
    sides = boxes[:, :, 1:] - boxes[:, :, :1]
    deviation = ops.minimum(noise * sides, MAX_BOX_NOISE * size)
    shift = keras.random.normal(ops.shape(boxes), seed=seed) * deviation
    return ops.clip(boxes + shift, 0.0, size)


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


def _sample_pixel(
    masks: Any, cell: Any, label: Any, low_res_size: Size, image_size: Size, seed: Any
) -> Any:
    """Sample a point `(B, P, 2)` (x, y) in a pixel of given cells where masks have given labels.

    `cell` `(B, P)` are flat indices in the low-res grid, and `label` `(B, P)` is 0 or 1. If no
    pixel of a cell has the label, the point is anywhere in the cell.
    """
    (rows, columns), num_masks = low_res_size, masks.shape[1]
    factor = masks.shape[2] // rows
    row, column = ops.reshape(cell // columns, (-1,)), ops.reshape(cell % columns, (-1,))
    index = ops.arange(ops.shape(row)[0], dtype=row.dtype)
    strips = ops.reshape(masks, (-1, factor, columns, factor))
    strip = ops.take(strips, index * rows + row, axis=0)  # (B * P, f, columns, f)
    blocks = ops.reshape(ops.transpose(strip, (0, 2, 1, 3)), (-1, factor * factor))
    block = ops.take(blocks, index * columns + column, axis=0)  # (B * P, f * f)
    block = ops.reshape(block, (-1, num_masks, factor * factor))
    has_label = ops.cast((block > 0) == (label[..., None] > 0), "float32")
    noise = keras.random.uniform(ops.shape(has_label), seed=seed)
    pixel = ops.argmax(has_label * (1.0 + noise), axis=-1)
    x = (cell % columns) * factor + pixel % factor
    y = (cell // columns) * factor + pixel // factor
    corner = ops.cast(ops.stack([x, y], axis=-1), "float32")
    scale = ops.array(
        [image_size[1] / masks.shape[3], image_size[0] / masks.shape[2]], dtype="float32"
    )
    shift = keras.random.uniform(ops.shape(corner), seed=seed)
    return (corner + shift) * scale - 0.5  # pixel (0, 0) has its center at (0, 0)


def _argmax(score: Any) -> Any:
    return ops.argmax(_flatten(score), axis=-1)


def _flatten(grid: Any) -> Any:
    return ops.reshape(grid, (-1, grid.shape[1], grid.shape[2] * grid.shape[3]))


def _extent(line: Any) -> tuple[Any, Any]:
    """Return the first and last + 1 index of the ones in `(B, P, L)`, float32 `(B, P)`."""
    first = ops.argmax(line, axis=-1)
    last = line.shape[-1] - ops.argmax(ops.flip(line, axis=-1), axis=-1)
    return ops.cast(first, "float32"), ops.cast(last, "float32")
