"""`crop_pyramid`: the parts of an image to look at, closer and closer, for one thing on it."""

import math
from typing import Any

import numpy as np

from keras_sam.predict.tiles import Box

CONTEXT = 3  # a window is so many times as wide as what it is for, or more
MIN_CROP_SIZE = 32  # pixels of a window; fewer hold nothing that a closer look could show


def crop_pyramid(box: Any, original_size: tuple[int, int]) -> list[Box]:
    """Windows of a fixed set that show a box with what is around it, closer and closer.

    Windows are squares, as far as the image reaches. Their side is that of the image's longest
    side, then a half of it, a quarter and so on; each overlaps the next by half or more. So things
    beside each other share a window, which is encoded once.

    Args:
        box: XYXY in pixels of the original, on the image.
        original_size: `(height, width)` of the image.

    Returns:
        XYXY in whole pixels, first all of the image; alone for a box of more than a sixth of its
        longest side.
    """
    height, width = original_size
    x0, y0, x1, y1 = map(float, box)
    needed = max(MIN_CROP_SIZE, CONTEXT * max(x1 - x0, y1 - y0))
    longest = max(original_size)
    windows = [(0, 0, width, height)]
    for halvings in range(1, 1 + math.floor(math.log2(max(1, longest / needed)))):
        side = math.ceil(longest / 2**halvings)
        left, right = _interval((x0 + x1) / 2, side, width)
        top, bottom = _interval((y0 + y1) / 2, side, height)
        windows.append((left, top, right, bottom))
    return windows


def _interval(center: float, side: int, length: int) -> tuple[int, int]:
    """Of the intervals that cover 0..length, half on half, the one around a place."""
    if side >= length:
        return 0, length
    starts = np.linspace(0, length - side, math.ceil(2 * (length - side) / side) + 1)
    start = round(starts[np.abs(starts + side / 2 - center).argmin()])
    return start, start + side
