"""COCO RLE: masks as run lengths in column-major order, in the format of COCO files.

pycocotools is not used here. It counts in 32 bits, and version 2.0.11 writes a byte past the end of
a buffer if all runs of a mask have `2 ** 24` or more pixels. This can crash Python.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_sam.masks.intervals import counts_to_mask, intervals_to_counts, merge_intervals
from keras_sam.masks.run_length_mask import RunLengthMask, mask_to_runs
from keras_sam.types import Size, is_size

MAX_MASK_PIXELS = 2**32 - 1  # 4 GiB as a boolean array
MAX_DIGITS = 8  # of a count in a compressed string, with its sign
MAX_RLE_PIXELS = 2 ** (5 * MAX_DIGITS - 1) - 1  # the largest count of that many digits
MAX_RUNS = 2**26  # 1.5 GiB as a `RunLengthMask`


def mask_to_coco_rle(mask: np.ndarray) -> dict[str, Any]:
    """Convert a mask `(H, W)` to a compressed COCO RLE `{"size": [H, W], "counts": str}`.

    Raises:
        ValueError: If the mask has another shape.
    """
    return runs_to_coco_rle(mask_to_runs(mask), np.shape(mask))


def coco_rle_to_mask(rle: Mapping[str, Any]) -> np.ndarray:
    """Convert a COCO RLE to a boolean mask `(H, W)`.

    Args:
        rle: COCO RLE whose `counts` are a compressed string or a list of integers.

    Raises:
        ValueError: If the RLE is malformed, has more than `2 ** 32 - 1` pixels, or its counts
            do not add up to its size.
    """
    return counts_to_mask(*_parse_rle(rle, max_pixels=MAX_MASK_PIXELS))


def coco_rle_to_counts(rle: Mapping[str, Any]) -> list[int]:
    """Return the counts of a COCO RLE as integers, the first one of background.

    Raises:
        ValueError: If the RLE is malformed, or its counts do not add up to its size.
    """
    counts, _ = _parse_rle(rle, max_pixels=MAX_RLE_PIXELS)
    return counts.tolist()


def coco_rle_to_runs(rle: Mapping[str, Any]) -> RunLengthMask:
    """Convert a COCO RLE of up to `2 ** 39 - 1` pixels to runs, without decoding the mask.

    Args:
        rle: COCO RLE whose `counts` are a compressed string or a list of integers.

    Raises:
        ValueError: If the RLE is malformed, its counts do not add up to its size, or the mask has
            more than `2 ** 26` runs in all columns.
    """
    counts, (height, _) = _parse_rle(rle, max_pixels=MAX_RLE_PIXELS)
    ends = np.cumsum(counts)
    starts, ends = ends[:-1:2], ends[1::2]
    is_run = starts < ends
    return _split_at_columns(*merge_intervals(starts[is_run], ends[is_run]), height)


def runs_to_coco_rle(runs: RunLengthMask, size: Size) -> dict[str, Any]:
    """Convert runs to a compressed COCO RLE, without decoding the mask.

    Args:
        runs: Mask of an image.
        size: `(height, width)` of the image.

    Raises:
        ValueError: If the mask extends beyond the image, or the image has more than
            `2 ** 39 - 1` pixels.
    """
    check_rle_size(size)
    height, width = size
    x0, y0, x1, y1 = runs.box
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        raise ValueError(f"a mask with box {runs.box} does not fit an image of size {size}")
    offsets = runs.columns * height
    starts, ends = merge_intervals(offsets + runs.tops, offsets + runs.bottoms)
    counts = intervals_to_counts(starts, ends, total=height * width)
    if len(counts) > 1 and not counts[-1]:  # the last pixel is foreground
        counts = counts[:-1]
    return {"size": [int(height), int(width)], "counts": _encode_counts(counts)}


def check_rle_size(size: Size) -> None:
    """Check that an image is not too large for an RLE.

    Args:
        size: `(height, width)` of the image.

    Raises:
        ValueError: If the image has more than `2 ** 39 - 1` pixels.
    """
    _check_pixels(size, MAX_RLE_PIXELS)


def _check_pixels(size: Size, max_pixels: int) -> None:
    if int(size[0]) * int(size[1]) > max_pixels:
        raise ValueError(f"an RLE may have at most {max_pixels} pixels, got size {list(size)}")


def _parse_rle(rle: Any, *, max_pixels: int) -> tuple[np.ndarray, Size]:
    """Return the counts `(R,)` int64 and the `(height, width)` of a valid RLE."""
    if not isinstance(rle, Mapping) or not {"size", "counts"} <= set(rle):
        raise ValueError("an RLE must be a dictionary with 'size' and 'counts'")
    if not is_size(rle["size"]):
        raise ValueError(f"size of an RLE must be [height, width] in pixels, got {rle['size']!r}")
    height, width = (int(side) for side in rle["size"])
    _check_pixels((height, width), max_pixels)
    counts = _decode_counts(rle["counts"])
    total = height * width
    # A cumulative sum of such counts exceeds the total before it can overflow.
    if counts.min() < 0 or counts.max() > total or np.cumsum(counts).max() != total:
        raise ValueError(f"counts of an RLE must add up to its size {[height, width]}")
    return counts, (height, width)


def _decode_counts(counts: Any) -> np.ndarray:
    """Return counts `(R,)` int64, one or more, from a compressed string or a list."""
    if isinstance(counts, list | tuple):
        if not counts or not all(_is_count(count) for count in counts):
            raise ValueError("counts of an RLE must be integers of at least 0, one or more")
        return np.array(counts, np.int64)
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    if not isinstance(counts, bytes):
        kind = type(counts).__name__
        raise ValueError(f"counts of an RLE must be a string or a list, got {kind}")
    # A digit has five bits, the lowest bits of a count first. 0x20 marks all digits of a count
    # but the last. In the last, 0x10 is the sign.
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not digits.size or digits.min() < 0 or digits.max() > 63 or digits[-1] & 0x20:
        raise ValueError("counts of an RLE are not a valid compressed string")
    last = np.flatnonzero((digits & 0x20) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > MAX_DIGITS:
        raise ValueError("counts of an RLE are not a valid compressed string")
    shifts = 5 * (np.arange(len(digits)) - np.repeat(first, lengths))
    values = np.add.reduceat((digits & 0x1F) << shifts, first)
    values -= np.where(digits[last] & 0x10, np.int64(1) << (5 * lengths), 0)
    # From the fourth on, each count is stored as the difference to the one two before it.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _encode_counts(counts: np.ndarray) -> str:
    """Return the compressed string of counts `(R,)`, the inverse of `_decode_counts`."""
    values = np.array(counts, np.int64)
    values[3:] -= counts[1:-2]
    magnitudes = np.where(values < 0, ~values, values)
    limits = np.int64(1) << (5 * np.arange(1, MAX_DIGITS + 1) - 1)  # one bit for the sign
    lengths = 1 + np.searchsorted(limits, magnitudes, side="right")
    ends = np.cumsum(lengths)
    shifts = 5 * (np.arange(ends[-1]) - np.repeat(ends - lengths, lengths))
    digits = ((np.repeat(values, lengths) >> shifts) & 0x1F) + 0x20
    digits[ends - 1] -= 0x20
    return (digits + 48).astype(np.uint8).tobytes().decode("ascii")


def _is_count(count: Any) -> bool:
    is_integer = isinstance(count, int | np.integer) and not isinstance(count, bool)
    return is_integer and 0 <= int(count) <= MAX_RLE_PIXELS


def _split_at_columns(starts: np.ndarray, ends: np.ndarray, height: int) -> RunLengthMask:
    """Split intervals of pixels in column-major order where a column ends."""
    first, last = starts // height, (ends - 1) // height
    parts = last - first + 1
    count = int(parts.sum())
    if count > MAX_RUNS:  # a single interval can fill any number of columns
        raise ValueError(f"an RLE may have at most {MAX_RUNS} runs in all columns, got {count}")
    columns = np.repeat(first, parts)
    columns += np.arange(len(columns)) - np.repeat(np.cumsum(parts) - parts, parts)
    tops = np.maximum(np.repeat(starts, parts) - columns * height, 0)
    bottoms = np.minimum(np.repeat(ends, parts) - columns * height, height)
    return RunLengthMask(columns, tops, bottoms)
