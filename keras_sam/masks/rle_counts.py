"""`read_counts`, `write_counts`: the runs of a COCO RLE, and the string that holds them."""

from typing import Any

import numpy as np

MOST_PIXELS = 2**32 - 1  # pycocotools counts in 32 bits
MOST_CHARACTERS = 8  # of a run; five bits each, with the sign


def read_counts(counts: Any) -> np.ndarray:
    """Runs `(R,)` int64 of either form of an RLE: its compressed string, or a list.

    Raises:
        ValueError: if they are malformed. That they fill a mask is not checked.
    """
    if isinstance(counts, list | tuple):
        if not counts or not all(_is_count(run) for run in counts):
            raise ValueError("the runs of an RLE are whole numbers of at least 0, one or more")
        return np.array(counts, np.int64)
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    if not isinstance(counts, bytes):
        raise ValueError(f"an RLE's counts are a string or a list, got {type(counts).__name__}")
    # LEB128-like: five bits a character, 0x20 says that more follow, 0x10 is the last's sign.
    digits = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if digits.size and (digits.min() < 0 or digits.max() > 63 or digits[-1] & 0x20):
        raise ValueError("an RLE's counts are malformed")
    is_last = (digits & 0x20) == 0
    ends = np.flatnonzero(is_last)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(int)
    if not len(ends):
        raise ValueError("an RLE's counts are empty")
    if (ends - starts).max() >= MOST_CHARACTERS:
        raise ValueError("an RLE's counts are malformed")
    places = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((digits & 0x1F) << (5 * places), starts)
    negative = (digits[ends] & 0x10) != 0
    values = np.where(negative, values - (np.int64(1) << (5 * (ends - starts + 1))), values)
    # From the fourth on, each run is stored as the difference to the one two before.
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs


def write_counts(runs: np.ndarray) -> str:
    """The compressed string of runs `(R,)`, the first of background; as pycocotools writes it.

    Runs may be longer than pycocotools can count, up to `2 ** 39 - 1` pixels.
    """
    values = np.array(runs, np.int64)
    values[3:] -= np.asarray(runs, np.int64)[1:-2]
    # A value takes five bits a character, and as many as leave its sign in the last one.
    magnitude = np.where(values < 0, ~values, values)
    limits = np.int64(1) << (5 * np.arange(1, MOST_CHARACTERS + 1) - 1)
    lengths = 1 + np.searchsorted(limits, magnitude, side="right")
    ends = np.cumsum(lengths)
    places = np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
    digits = (np.repeat(values, lengths) >> (5 * places)) & 0x1F
    digits += 0x20
    digits[ends - 1] -= 0x20
    return (digits + 48).astype(np.uint8).tobytes().decode("ascii")


def _is_count(run: Any) -> bool:
    is_whole = isinstance(run, int | np.integer) and not isinstance(run, bool)
    return is_whole and 0 <= int(run) < 2 ** (5 * MOST_CHARACTERS - 1)
