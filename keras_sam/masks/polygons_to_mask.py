"""`polygons_to_mask`: the pixels of polygons, the same ones as pycocotools finds."""

from collections.abc import Iterable

import numpy as np

SCALE = 5  # pycocotools traces outlines in fifths of a pixel
FARTHEST = 100_000_000  # whose fifths still fit its 32-bit numbers
MOST_CROSSINGS = 4_000_000  # bounds the work memory to a few hundred megabytes


def polygons_to_mask(polygons: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The pixels inside any of some polygons; what lies outside the image is cut off.

    The rule is that of `rleFrPoly` in pycocotools: an outline is traced in fifths of a pixel, and
    a column changes between outside and inside where the trace passes its center. The trace is
    computed at the columns of the image only, so that far corners cost nothing.

    Args:
        polygons: corners `(N, 2)` of each, pixels (x, y), in order.
        size: `(height, width)` of the image.

    Returns:
        The mask `(H, W)`.

    Raises:
        ValueError: if a polygon is not finite, reaches too far, or winds too often.
    """
    height, width = size
    pixels = np.zeros(height * width, bool)  # runs go down the columns
    for corners in polygons:
        changes = _changes(corners, height, width)
        if len(changes):
            is_inside = np.arange(len(changes) - 1) % 2 == 0
            pixels[changes[0] : changes[-1]] |= np.repeat(is_inside, np.diff(changes))
    return pixels.reshape(width, height).T


def _changes(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels `(K,)`, counted down the columns, where outside and inside change."""
    if not np.isfinite(corners).all():
        raise ValueError("a polygon must be finite, got NaN or infinity")
    farthest = np.abs(corners).max()
    if farthest > FARTHEST:
        raise ValueError(f"a polygon must lie within {FARTHEST} pixels, got {farthest:g}")
    starts = np.trunc(SCALE * corners + 0.5).astype(np.int64)
    columns, steps = _crossings(starts, np.roll(starts, -1, axis=0), width)
    rows = np.clip(np.ceil((steps + 0.5) / SCALE - 0.5), 0, height).astype(np.int64)
    return np.sort(columns * height + rows)


def _crossings(starts: np.ndarray, ends: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the sides of a polygon pass the centers of columns.

    Args:
        starts: `(N, 2)` int64, where each side begins, in fifths of a pixel.
        ends: `(N, 2)`, where it ends.
        width: number of columns.

    Returns:
        Columns `(K,)`, and the upper end `(K,)` of the trace's step there, in fifths of a pixel.
    """
    # A step from fifth 2 to fifth 3 passes the center.
    first = -((2 - np.minimum(starts, ends)[:, 0]) // SCALE)
    last = (np.maximum(starts, ends)[:, 0] - 3) // SCALE
    first, last = np.maximum(first, 0), np.minimum(last, width - 1)
    counts = np.maximum(last - first + 1, 0)
    total = int(counts.sum())
    if total > MOST_CROSSINGS:
        raise ValueError(
            f"a polygon may pass {MOST_CROSSINGS} columns of pixels in all, got {total}"
        )
    sides = np.repeat(np.arange(len(counts)), counts)
    columns = first[sides] + np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    x = SCALE * columns + 2
    steps = np.empty(total, np.int64)
    wide, high = np.abs(ends - starts).T
    for chosen, rule in (
        ((wide >= high)[sides], _flat_steps),
        ((wide < high)[sides], _steep_steps),
    ):
        steps[chosen] = rule(starts[sides[chosen]], ends[sides[chosen]], x[chosen])
    return columns, steps


def _flat_steps(starts: np.ndarray, ends: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Upper ends of the steps from `x` to `x + 1` of sides that are at least as wide as high."""
    (left, y), (right, y_end) = _ordered(starts, ends, axis=0)
    slope = (y_end - y) / (right - left)
    here, there = (np.floor(y + slope * (at - left) + 0.5) for at in (x, x + 1))
    return np.minimum(here, there).astype(np.int64)


def _steep_steps(starts: np.ndarray, ends: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Upper ends of the steps from `x` to `x + 1` of sides that are higher than wide."""
    (left, top), (right, bottom) = _ordered(starts, ends, axis=1)
    slope = (right - left) / (bottom - top)

    def has_passed(step: np.ndarray) -> np.ndarray:
        return (np.floor(left + slope * step + 0.5) > x) == (slope > 0)

    step = np.ceil((x + 0.5 - left) / slope)
    step -= has_passed(step - 1)  # the division above rounds
    step += ~has_passed(step)
    return top + step.astype(np.int64) - 1


def _ordered(starts: np.ndarray, ends: np.ndarray, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of sides, `(2, K)` each, from the lesser to the greater along an axis."""
    is_turned = (starts[:, axis] > ends[:, axis])[:, None]
    return np.where(is_turned, ends, starts).T, np.where(is_turned, starts, ends).T
