"""Masks: their boxes, runs, overlaps and depths."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask


def mask_to_box(mask: np.ndarray) -> np.ndarray:
    """The tight box XYXY of a mask `(H, W)`, float32, right and bottom edges behind its pixels.

    An empty mask gives zeros.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4, np.float32)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def mask_to_coco_rle(mask: np.ndarray) -> dict[str, Any]:
    """A mask `(H, W)` as compressed COCO RLE: `size` and `counts`, a string."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}


def coco_rle_to_mask(rle: dict[str, Any]) -> np.ndarray:
    """A mask `(H, W)` bool from COCO RLE, compressed (a string) or not (a list).

    Raises:
        ValueError: if the runs do not fill the size, or a key is missing.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"RLE needs size (height, width) and counts, got {rle!r:.80}") from error
    if isinstance(counts, list):
        if any(run < 0 for run in counts) or sum(counts) != height * width:
            raise ValueError(f"RLE runs sum to {sum(counts)}, expected {height} x {width}")
        values = np.arange(len(counts)) % 2 == 1
        return np.repeat(values, counts).reshape(width, height).T
    counts = counts.encode() if isinstance(counts, str) else counts
    if min(height, width) <= 0 or not _fills(counts, height * width):
        raise ValueError(f"RLE counts do not fill {height} x {width} pixels")
    return coco_mask.decode({"size": [height, width], "counts": counts}).astype(bool)


def mask_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of masks `(..., H, W)` that broadcast; 0 for two empty ones."""
    overlap = np.logical_and(first, second).sum((-2, -1))
    union = np.logical_or(first, second).sum((-2, -1))
    return overlap / np.maximum(union, 1)


def deepest_point(mask: np.ndarray) -> tuple[int, int]:
    """The pixel (x, y) of a mask farthest from everything outside, the image's edge included.

    The first in row-major order where several are.

    Raises:
        ValueError: if the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no point inside")
    depth = squared_depth(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def squared_depth(mask: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of each pixel of a mask to the nearest outside, `(H, W)` int64.

    Exact and separable: distances along columns first, then the best of all columns for each
    pixel of a row. Only the mask's own box is searched.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    depth = np.zeros(mask.shape, np.int64)
    if not len(rows):
        return depth
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = np.pad(mask[box], 1)
    vertical = _distance_along_columns(inside).astype(np.int64) ** 2
    width = inside.shape[1]
    best = vertical.copy()
    for shift in range(1, width):
        if shift * shift >= best.max():
            break
        best[:, shift:] = np.minimum(best[:, shift:], vertical[:, :-shift] + shift * shift)
        best[:, :-shift] = np.minimum(best[:, :-shift], vertical[:, shift:] + shift * shift)
    depth[box] = best[1:-1, 1:-1]
    return depth


def _distance_along_columns(inside: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest one outside in its own column."""
    distance = np.zeros(inside.shape, np.int64)
    run = np.zeros(inside.shape[1], np.int64)
    for row in range(inside.shape[0]):
        run = np.where(inside[row], run + 1, 0)
        distance[row] = run
    run[:] = 0
    for row in reversed(range(inside.shape[0])):
        run = np.where(inside[row], run + 1, 0)
        distance[row] = np.minimum(distance[row], run)
    return distance


def _fills(counts: bytes, pixels: int) -> bool:
    """Whether compressed runs sum to a number of pixels (5 bits a character, as COCO writes)."""
    total, runs, value, shift = 0, [], 0, 0
    for byte in counts:
        piece = byte - 48
        if not 0 <= piece < 64:
            return False
        value |= (piece & 31) << shift
        shift += 5
        if not piece & 32:
            if piece & 16:
                value |= -1 << shift
            if len(runs) > 2:
                value += runs[-2]
            if value < 0:
                return False
            runs.append(value)
            total += value
            value, shift = 0, 0
    return shift == 0 and total == pixels
