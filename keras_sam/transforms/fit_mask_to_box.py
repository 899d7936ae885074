"""Functions that make a mask agree with its box prompt."""

import math

import numpy as np

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import BACKGROUND_LOGIT
from keras_sam.types import Size

MIN_COVERAGE = 0.9  # of the box by the mask's own box; people draw boxes slightly too large
COVERAGE_PENALTY = 0.15  # reduction per added logit, so that very faint masks stay small
LOGIT_OFFSETS = np.linspace(0, MIN_COVERAGE / COVERAGE_PENALTY, 61, dtype=np.float32)


def expand_mask_to_box(
    low_res_logits: np.ndarray, transform: ImageTransform, box: np.ndarray
) -> np.ndarray:
    """Raise the logits of a mask until the mask's own box covers its box prompt.

    A mask that does not extend to the sides of its box prompt is too small (Lempitsky, Kohli,
    Rother and Sharp, 2009). All its logits get the same offset, at most 6. It is the smallest
    for which the mask's own box covers 90 % of the box prompt, less 15 % per added logit.

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
    """Lower logits at and outside the sides of a box so that the mask ends there.

    The cells next to a side get logits whose interpolation crosses zero at that side, so the
    mask ends there with subcell precision. The low-res grid cannot represent two cases, for which
    there is `clip_pixels_to_box`: along an axis, a box with less than two cell centers only
    removes what is more than a cell away, and a mask cannot end within half a cell of the grid's
    border.

    Args:
        low_res_logits: Logits `(L, L)` of one mask.
        transform: Transform between the original and the model frame.
        box: Box prompt `(4,)` XYXY in the original.

    Returns:
        Logits `(L, L)`.
    """
    clipped = low_res_logits
    size = (low_res_logits.shape[0], low_res_logits.shape[1])
    for axis, sides in enumerate(_box_in_cells(transform, size, box)):
        along_last = _clip_last_axis(np.moveaxis(clipped, axis, -1), sides, transform)
        clipped = np.moveaxis(along_last, -1, axis)
    return clipped


def clip_pixels_to_box(pixels: np.ndarray, transform: ImageTransform, box: np.ndarray) -> None:
    """Remove the pixels of masks that a box does not touch.

    Args:
        pixels: Masks `(..., H, W)` or logits of the original, changed in place.
        transform: Transform between the original and the model frame.
        box: Box prompt `(4,)` XYXY in the original.
    """
    window = _touched_pixels(box, transform)
    inside = pixels[..., *window].copy()
    pixels[...] = False if pixels.dtype == bool else BACKGROUND_LOGIT
    pixels[..., *window] = inside


def cells_in_box(
    transform: ImageTransform, low_res_size: Size, box: np.ndarray
) -> tuple[slice, slice]:
    """Return the low-res rows and columns that a box touches, and one more at each end.

    `clip_mask_to_box` needs the cells next to the box. Padding is excluded.
    """
    sides = _box_in_cells(transform, low_res_size, box)
    rows, columns = (
        slice(max(0, math.floor(low) - 1), min(cells, math.ceil(high) + 1))
        for (low, high), cells in zip(
            sides, transform.low_res_input_size(low_res_size), strict=True
        )
    )
    return rows, columns


def _box_in_cells(transform: ImageTransform, low_res_size: Size, box: np.ndarray) -> np.ndarray:
    """Return a box `[[top, bottom], [left, right]]` in low-res cells, float64."""
    corners = transform.apply_boxes(np.asarray(box)).astype(np.float64).reshape(2, 2)
    scale = np.array(low_res_size) / transform.image_size
    return corners.T[::-1] * scale[:, None]


def _touched_pixels(box: np.ndarray, transform: ImageTransform) -> tuple[slice, slice]:
    """Return the rows and columns of the original that a box touches."""
    height, width = transform.original_size
    x0, y0, x1, y1 = np.asarray(box, np.float64)
    return (
        slice(max(0, math.floor(y0)), min(height, math.ceil(y1))),
        slice(max(0, math.floor(x0)), min(width, math.ceil(x1))),
    )


def _clip_last_axis(logits: np.ndarray, sides: np.ndarray, transform: ImageTransform) -> np.ndarray:
    """Make a mask end at two sides, in cells, along the last axis."""
    low, high = sides
    centers = np.arange(logits.shape[-1]) + 0.5
    inside = np.flatnonzero((centers > low) & (centers < high))
    if len(inside) < 2:
        is_near = (centers > low - 1) & (centers < high + 1)
        return np.where(is_near, logits, np.float32(BACKGROUND_LOGIT))
    first, last = inside[0], inside[-1]
    distances = np.array([centers[first] - low, high - centers[last]])
    clipped = logits.copy()
    clipped[..., : max(0, first - 1)] = BACKGROUND_LOGIT
    clipped[..., last + 2 :] = BACKGROUND_LOGIT
    if first > 0:
        _cross_zero(clipped[..., first], clipped[..., first - 1], distances[0], transform)
    if last < logits.shape[-1] - 1:
        _cross_zero(clipped[..., last], clipped[..., last + 1], distances[1], transform)
    return clipped


def _cross_zero(
    inside: np.ndarray, outside: np.ndarray, distance: float, transform: ImageTransform
) -> None:
    """Lower two neighboring lines of logits so that the mask ends between them.

    Args:
        inside: Logits of the last line of cells inside the box, changed in place.
        outside: Logits of the next line, changed in place; at least `BACKGROUND_LOGIT`.
        distance: Distance of the mask's end from the centers of the inside cells, in cells.
        transform: Transform whose kind of interpolation is used.
    """
    zero, background = transform.to_interpolated(np.array([0, BACKGROUND_LOGIT]))
    distance = np.clip(distance, 1e-3, 1 - 1e-3)  # avoids division by zero
    ratio = (1 - distance) / distance
    # From a higher value, not even background outside makes the mask end soon enough.
    highest = transform.from_interpolated(zero + (zero - background) / ratio)
    np.minimum(inside, highest, out=inside)
    values = np.maximum(transform.to_interpolated(inside), zero)
    crossing = transform.from_interpolated(zero - (values - zero) * ratio)
    np.minimum(outside, np.maximum(crossing, BACKGROUND_LOGIT), out=outside)


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
    return transform.from_interpolated(row_max), transform.from_interpolated(column_max)


def _extents(max_logits: np.ndarray) -> np.ndarray:
    """Compute the extent of a mask along an axis, in pixels, for each of `LOGIT_OFFSETS`."""
    is_in_mask = max_logits > -LOGIT_OFFSETS[:, None]
    first, last = is_in_mask.argmax(axis=1), is_in_mask[:, ::-1].argmax(axis=1)
    return np.where(is_in_mask.any(axis=1), len(max_logits) - last - first, 0)
