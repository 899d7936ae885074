"""Boolean masks: their runs, area, box, overlap, stability and deepest point."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from keras_sam.masks.rle_counts import MOST_PIXELS, read_counts
from keras_sam.types import is_size


def mask_to_coco_rle(mask: np.ndarray) -> dict[str, Any]:
    """A mask `(H, W)` as a compressed COCO RLE: `{"size": [H, W], "counts": str}`."""
    mask = _check_mask(mask)
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode("ascii")}


def coco_rle_to_mask(rle: dict[str, Any]) -> np.ndarray:
    """A COCO RLE, compressed or a list of runs, as a boolean mask `(H, W)`.

    Raises:
        ValueError: if it is malformed, or its runs do not fill its size.
    """
    if not isinstance(rle, dict) or not {"size", "counts"} <= set(rle):
        raise ValueError("an RLE is a dictionary with 'size' and 'counts'")
    size = rle["size"]
    if not is_size(size):
        raise ValueError(f"an RLE's size is [height, width] in whole pixels, got {size!r}")
    height, width = (int(side) for side in size)
    if height * width > MOST_PIXELS:
        raise ValueError(f"an RLE has at most {MOST_PIXELS} pixels, got size {list(size)}")
    runs = read_counts(rle["counts"])
    # Each run is checked by itself first, so that no sum can overflow.
    if runs.min() < 0 or runs.max() > height * width or runs.sum() != height * width:
        raise ValueError(f"the runs of an RLE do not fill its size {list(size)}")
    values = np.arange(len(runs)) % 2 == 1  # the first run is background
    return np.repeat(values, runs).reshape(width, height).T


def coco_rle_runs(rle: dict[str, Any]) -> list[int]:
    """The lengths of the runs of a COCO RLE, column by column, the first of background."""
    return [int(run) for run in read_counts(rle["counts"])]


def mask_area(masks: np.ndarray) -> np.ndarray:
    """Number of pixels `(...)` of masks `(..., H, W)`."""
    return np.count_nonzero(masks, axis=(-2, -1))


def mask_to_box(mask: np.ndarray) -> np.ndarray:
    """The tight box `(4,)` XYXY, float32, of a mask `(H, W)`; zeros for an empty one.

    x1 and y1 lie behind the last pixel: width is x1 - x0.
    """
    mask = _check_mask(mask)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.float32)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def mask_iou(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union `(...)` of masks `(..., H, W)`, broadcast; 1 for two empty ones."""
    masks, others = np.asarray(masks, bool), np.asarray(others, bool)
    if masks.shape[-2:] != others.shape[-2:]:
        raise ValueError(f"masks differ in size: {masks.shape[-2:]} and {others.shape[-2:]}")
    intersection = np.count_nonzero(masks & others, axis=(-2, -1))
    union = mask_area(masks) + mask_area(others) - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def stability_score(
    mask_logits: np.ndarray, *, threshold: float = 0.0, offset: float = 1.0
) -> np.ndarray:
    """IoU `(...)` of logits `(..., H, W)` cut at threshold + offset and at threshold - offset."""
    small = np.count_nonzero(mask_logits > threshold + offset, axis=(-2, -1))
    large = np.count_nonzero(mask_logits > threshold - offset, axis=(-2, -1))
    return np.where(large == 0, 0.0, small / np.maximum(large, 1))


def mask_interior_point(mask: np.ndarray) -> tuple[int, int]:
    """The pixel (x, y) of a mask `(H, W)` farthest from everything outside it.

    The image's border counts as outside. The first in row-major order among equals.

    Raises:
        ValueError: for an empty mask.
    """
    mask = _check_mask(mask)
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    if x0 == x1:
        raise ValueError("an empty mask has no deepest point")
    distances = squared_distance_transform(np.pad(mask[y0:y1, x0:x1], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(np.argmax(distances), distances.shape)
    return int(x0 + x), int(y0 + y)


def squared_distance_transform(mask: np.ndarray, *, limit: int | None = None) -> np.ndarray:
    """Squared distance `(H, W)` of each pixel to the nearest one outside the mask, exact.

    Along columns first, then the least over each row's offsets (Felzenszwalb and Huttenlocher's
    two passes, with offsets tried only as far as the largest distance left).

    Args:
        mask: `(H, W)`, with a pixel outside it.
        limit: distances beyond it need not be exact.
    """
    height, width = mask.shape
    far = height + width if limit is None else limit + 1
    rows = np.arange(height, dtype=np.int64)[:, None]
    outside = ~np.asarray(mask, bool)
    above = np.maximum.accumulate(np.where(outside, rows, -far), axis=0)
    below = np.minimum.accumulate(np.where(outside, rows, height + far)[::-1], axis=0)[::-1]
    column = np.minimum(np.minimum(rows - above, below - rows), far) ** 2
    least = column.copy()
    for offset in range(1, width):
        if offset**2 >= least.max() or (limit is not None and offset > limit):
            break
        step = offset**2
        np.minimum(least[:, offset:], column[:, :-offset] + step, out=least[:, offset:])
        np.minimum(least[:, :-offset], column[:, offset:] + step, out=least[:, :-offset])
    return least


def _check_mask(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"a mask has shape (H, W), got {mask.shape}")
    return mask.astype(bool, copy=False)
