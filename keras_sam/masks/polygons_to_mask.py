"""`polygons_to_mask`: the pixels inside polygons, the same ones as in pycocotools."""

from collections.abc import Iterable

import numpy as np

from keras_sam.masks.intervals import counts_to_mask, intervals_to_counts, merge_intervals
from keras_sam.types import Size

SCALE = 5  # pycocotools traces polygons on a grid of fifths of a pixel
MAX_COORDINATE = 100_000_000  # pixels. Fifths of it fit into the 32-bit integers of pycocotools
MAX_CROSSINGS = 4_000_000  # bounds the working memory to a few hundred megabytes


def polygons_to_mask(polygons: Iterable[np.ndarray], size: Size) -> np.ndarray:
    """Convert polygons to the mask of their union, clipped to the image.

    The result equals that of `rleFrPoly` in pycocotools. It traces each polygon in fifths of a
    pixel; a column changes between background and foreground where the trace passes its center.
    Here, the trace is computed only at the columns of the image, so that memory does not grow
    with the length of the polygons. pycocotools also has the defect described in `coco_rle.py`.

    Args:
        polygons: Corners `(N, 2)` (x, y) of each polygon, in pixels.
        size: `(height, width)` of the image.

    Returns:
        Boolean mask `(H, W)`.

    Raises:
        ValueError: If a coordinate is not finite or larger than 100,000,000 pixels, or the
            polygons cross columns of the image more than 4,000,000 times in total.
    """
    height, width = size
    remaining = MAX_CROSSINGS
    intervals = [np.zeros((0, 2), np.int64)]
    for corners in polygons:
        columns, steps = _crossings(*_sides(corners), width, max_crossings=remaining)
        remaining -= len(columns)
        rows = np.clip(np.ceil((steps + 0.5) / SCALE - 0.5), 0, height).astype(np.int64)
        # A closed polygon crosses a column an even number of times.
        intervals.append(np.sort(columns * height + rows).reshape(-1, 2))
    starts, ends = np.concatenate(intervals).T
    is_run = starts < ends
    starts, ends = merge_intervals(starts[is_run], ends[is_run])
    return counts_to_mask(intervals_to_counts(starts, ends, total=height * width), size)


def _sides(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return start and end `(N, 2)` int64 of each side of a polygon, in fifths of a pixel."""
    if not np.isfinite(corners).all():
        raise ValueError("coordinates of a polygon must be finite, got NaN or infinity")
    largest = np.abs(corners).max(initial=0)
    if largest > MAX_COORDINATE:
        raise ValueError(
            f"coordinates of a polygon must be at most {MAX_COORDINATE} pixels, got {largest:g}"
        )
    starts = np.trunc(SCALE * corners + 0.5).astype(np.int64)
    return starts, np.roll(starts, -1, axis=0)


def _crossings(
    starts: np.ndarray, ends: np.ndarray, width: int, *, max_crossings: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find where the sides of a polygon cross the centers of columns.

    Args:
        starts: `(N, 2)` int64 (x, y), start of each side, in fifths of a pixel.
        ends: `(N, 2)` int64 (x, y), end of each side, in fifths of a pixel.
        width: Number of columns.
        max_crossings: Number of crossings above which the polygon is refused.

    Returns:
        Column `(K,)` of each crossing, and the upper end `(K,)` of the trace's step across its
        center, in fifths of a pixel.
    """
    # The step from fifth 2 to fifth 3 of a column crosses its center.
    first = np.maximum(-((2 - np.minimum(starts, ends)[:, 0]) // SCALE), 0)
    last = np.minimum((np.maximum(starts, ends)[:, 0] - 3) // SCALE, width - 1)
    counts = np.maximum(last - first + 1, 0)
    total = int(counts.sum())
    if total > max_crossings:
        raise ValueError(
            f"polygons must cross columns of the image at most {MAX_CROSSINGS} times in total, "
            f"got {MAX_CROSSINGS - max_crossings + total} or more"
        )
    sides = np.repeat(np.arange(len(counts)), counts)
    columns = first[sides] + np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    x = SCALE * columns + 2
    widths, heights = np.abs(ends - starts).T
    is_steep = (widths < heights)[sides]
    steps = np.empty(total, np.int64)
    for is_chosen, rule in ((~is_steep, _flat_steps), (is_steep, _steep_steps)):
        chosen = sides[is_chosen]
        steps[is_chosen] = rule(starts[chosen], ends[chosen], x[is_chosen])
    return columns, steps


def _flat_steps(starts: np.ndarray, ends: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Upper ends of the steps from x to x + 1 on sides that are at least as wide as high."""
    (left, y), (right, y_end) = _ordered(starts, ends, axis=0)
    slope = (y_end - y) / (right - left)
    before, after = (np.floor(y + slope * (at - left) + 0.5) for at in (x, x + 1))
    return np.minimum(before, after).astype(np.int64)


def _steep_steps(starts: np.ndarray, ends: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Upper ends of the steps from x to x + 1 on sides that are higher than wide."""
    (left, top), (right, bottom) = _ordered(starts, ends, axis=1)
    slope = (right - left) / (bottom - top)

    def has_crossed(step: np.ndarray) -> np.ndarray:
        return (np.floor(left + slope * step + 0.5) > x) == (slope > 0)

    step = np.ceil((x + 0.5 - left) / slope)
    step -= has_crossed(step - 1)  # corrects the rounding of the division
    step += ~has_crossed(step)
    return top + step.astype(np.int64) - 1


def _ordered(starts: np.ndarray, ends: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends `(2, K)` of each side, the one with the smaller coordinate first."""
    is_reversed = (starts[:, axis] > ends[:, axis])[:, None]
    return np.where(is_reversed, ends, starts).T, np.where(is_reversed, starts, ends).T
