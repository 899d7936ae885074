"""`expand_mask_to_box` and `clip_mask_to_box`: make a mask agree with its box prompt."""

import math

import numpy as np

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import BACKGROUND_LOGIT, logit

MIN_COVERAGE = 0.9  # of the box, that the mask's own box covers; people draw boxes a little wide
COVERAGE_PENALTY = 0.15  # coverage that each added logit costs; very faint masks stay small
LOGIT_OFFSETS = np.linspace(0, MIN_COVERAGE / COVERAGE_PENALTY, 61, dtype=np.float32)


def expand_mask_to_box(
    low_res_logits: np.ndarray, transform: ImageTransform, box: np.ndarray
) -> np.ndarray:
    """Raise the logits of a mask until the mask's own box covers its box prompt.

    A mask that does not extend to the sides of its box is too small. All its logits get the
    smallest offset for which its own box covers 90 % of the box prompt, less 15 % per added
    logit. Bounding boxes as such a prior: Lempitsky, Kohli, Rother and Sharp (2009).

    Args:
        low_res_logits: Logits `(L, L)` of one mask.
        transform: Transform between the original and the model frame.
        box: Box prompt `(4,)` XYXY in the original.

    Returns:
        Logits `(L, L)`; equal to the input if the mask is large enough.
    """
    rows, columns = _max_per_row_and_column(
        low_res_logits, transform, _touched_pixels(box, transform)
    )
    covered = _extents(rows) * _extents(columns) / (len(rows) * len(columns))
    is_enough = covered >= MIN_COVERAGE - COVERAGE_PENALTY * LOGIT_OFFSETS
    return low_res_logits + LOGIT_OFFSETS[is_enough.argmax()]


def clip_mask_to_box(
    low_res_logits: np.ndarray, transform: ImageTransform, box: np.ndarray
) -> np.ndarray:
    """Lower the logits outside a box so that the mask ends at its sides.

    The cells next to a side get the logit for which linear interpolation crosses zero at that
    side, so the mask ends there with subcell precision.

    Args:
        low_res_logits: Logits `(L, L)` of one mask.
        transform: Transform between the original and the model frame.
        box: Box prompt `(4,)` XYXY in the original.

    Returns:
        Logits `(L, L)`.
    """
    clipped = low_res_logits
    sides = transform.apply_boxes(np.asarray(box)).astype(np.float64)
    for axis, (low, high) in ((1, sides[[0, 2]]), (0, sides[[1, 3]])):
        cells = clipped.shape[axis]
        scale = cells / transform.image_size[axis]
        along_last = np.moveaxis(clipped, axis, -1)
        clipped = np.moveaxis(_clip_last_axis(along_last, low * scale, high * scale), -1, axis)
    return clipped


def cells_in_box(
    transform: ImageTransform, low_res_size: tuple[int, int], box: np.ndarray
) -> tuple[slice, slice]:
    """Return the low-res rows and columns that a box touches, and one more at its end."""
    rows, columns = _touched_pixels(box, transform)
    height, width = transform.low_res_input_size(low_res_size)
    return (
        _scaled(rows, height / transform.original_size[0]),
        _scaled(columns, width / transform.original_size[1]),
    )


def _scaled(pixels: slice, scale: float) -> slice:
    return slice(math.floor(pixels.start * scale), math.ceil(pixels.stop * scale) + 1)


def _touched_pixels(box: np.ndarray, transform: ImageTransform) -> tuple[slice, slice]:
    """Return the rows and columns of the original that a box touches."""
    height, width = transform.original_size
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    return (
        slice(max(0, math.floor(y0)), min(height, math.ceil(y1))),
        slice(max(0, math.floor(x0)), min(width, math.ceil(x1))),
    )


def _clip_last_axis(logits: np.ndarray, low: float, high: float) -> np.ndarray:
    """Make logits cross zero at `low` and at `high`, in cells, along the last axis."""
    centers = np.arange(logits.shape[-1]) + 0.5
    inside = np.flatnonzero((centers > low) & (centers < high))
    if not len(inside):  # a box within one cell
        inside = np.array([np.abs(centers - (low + high) / 2).argmin()])
    first, last = inside[0], inside[-1]
    clipped = logits.copy()
    clipped[..., : max(0, first - 1)] = BACKGROUND_LOGIT
    clipped[..., last + 2 :] = BACKGROUND_LOGIT
    for edge, outside, side in ((first, first - 1, low), (last, last + 1, high)):
        if 0 <= outside < logits.shape[-1]:
            distance = max(abs(centers[edge] - side), 1e-3)
            crossing = -np.maximum(clipped[..., edge], 0) * ((1 - distance) / distance)
            limited = np.minimum(clipped[..., outside], crossing)
            clipped[..., outside] = np.maximum(limited, BACKGROUND_LOGIT)
    return clipped


def _max_per_row_and_column(
    low_res_logits: np.ndarray, transform: ImageTransform, region: tuple[slice, slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the highest logit of each row and of each column of a region of the original."""
    rows, columns = region
    size = (low_res_logits.shape[0], low_res_logits.shape[1])
    vertical, horizontal = transform.bilinear_matrices(size)
    source_rows, source_columns = vertical.source_slice(rows), horizontal.source_slice(columns)
    values = transform.to_interpolated(low_res_logits[source_rows, source_columns])
    stretched = values @ horizontal.weights[columns, source_columns].T
    row_max = np.empty(rows.stop - rows.start, np.float32)
    column_max = np.full(columns.stop - columns.start, -np.inf, np.float32)
    for position, pixels in vertical.iter_row_blocks(stretched, rows):
        row_max[position] = pixels.max(axis=1)
        np.maximum(column_max, pixels.max(axis=0), out=column_max)
    if transform.postprocessing.upsample_in == "probabilities":
        return logit(row_max), logit(column_max)
    return row_max, column_max


def _extents(max_logits: np.ndarray) -> np.ndarray:
    """Compute the extent of a mask along an axis, in pixels, for each of `LOGIT_OFFSETS`."""
    is_in_mask = max_logits > -LOGIT_OFFSETS[:, None]
    first, last = is_in_mask.argmax(axis=1), is_in_mask[:, ::-1].argmax(axis=1)
    return np.where(is_in_mask.any(axis=1), len(max_logits) - last - first, 0)
