"""`crop_pyramid`: crops around a box, from the whole image to a few times the box."""

import math
from typing import Any

import numpy as np

from keras_sam.types import Box, Size

MIN_CONTEXT_RATIO = 3  # minimum side of a crop, as a multiple of the box
MIN_CROP_SIZE = 32  # pixels; a smaller crop adds no detail


def crop_pyramid(box: Any, original_size: Size) -> list[Box]:
    """Return crops that contain a box with context, in order of increasing zoom.

    Each crop is a square with half the side of the one before, clipped to the image. Crops of
    one size lie on a fixed grid and overlap by half or more. Nearby objects therefore share
    crops, and each crop is encoded once.

    Args:
        box: Box `(4,)` XYXY in pixels, inside the image.
        original_size: `(height, width)` of the image.

    Returns:
        Boxes XYXY in whole pixels. The first is the whole image, and the only one for a box
        larger than a sixth of the image's longer side.
    """
    height, width = original_size
    x0, y0, x1, y1 = map(float, box)
    min_side = max(MIN_CROP_SIZE, MIN_CONTEXT_RATIO * max(x1 - x0, y1 - y0))
    longest = max(original_size)
    crops = [(0, 0, width, height)]
    for level in range(1, 1 + math.floor(math.log2(max(1, longest / min_side)))):
        side = math.ceil(longest / 2**level)
        left, right = _nearest_interval((x0 + x1) / 2, side, width)
        top, bottom = _nearest_interval((y0 + y1) / 2, side, height)
        crops.append((left, top, right, bottom))
    return crops


def _nearest_interval(center: float, side: int, length: int) -> tuple[int, int]:
    """Return the interval around `center`, among those that cover 0..length with half overlap."""
    if side >= length:
        return 0, length
    starts = np.linspace(0, length - side, math.ceil(2 * (length - side) / side) + 1)
    start = round(starts[np.abs(starts + side / 2 - center).argmin()])
    return start, start + side
