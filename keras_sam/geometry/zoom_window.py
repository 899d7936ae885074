"""`zoom_window`: the part of an image to look at again, closer, for one thing on it."""

import math
from typing import Any

import numpy as np

Box = tuple[int, int, int, int]

CONTEXT = 3  # a window is so many times as wide as what it is for, or more
LEAST_SIDE = 32  # pixels of a window; fewer hold nothing that a closer look could show


def zoom_window(box: Any, original_size: tuple[int, int]) -> Box:
    """The smallest window of a fixed set that shows a box with what is around it.

    Windows are squares, as far as the image reaches. Their side is that of the image's longest
    side, or a half of it, a quarter and so on; each overlaps the next by half or more. So things
    beside each other share a window, which is encoded once.

    Args:
        box: XYXY in pixels of the original, on the image.
        original_size: `(height, width)` of the image.

    Returns:
        XYXY in whole pixels; all of the image for a box of more than a sixth of its longest side.
    """
    height, width = original_size
    x0, y0, x1, y1 = map(float, box)
    needed = max(LEAST_SIDE, CONTEXT * max(x1 - x0, y1 - y0))
    longest = max(original_size)
    halvings = max(0, math.floor(math.log2(longest / needed)))
    side = math.ceil(longest / 2**halvings)
    left, right = _interval((x0 + x1) / 2, side, width)
    top, bottom = _interval((y0 + y1) / 2, side, height)
    return left, top, right, bottom


def _interval(centre: float, side: int, length: int) -> tuple[int, int]:
    """Of the intervals that cover 0..length, half on half, the one around a place."""
    if side >= length:
        return 0, length
    starts = np.linspace(0, length - side, math.ceil(2 * (length - side) / side) + 1)
    start = round(starts[np.abs(starts + side / 2 - centre).argmin()])
    return start, start + side
