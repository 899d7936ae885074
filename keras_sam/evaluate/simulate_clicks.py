"""Simulated clicks of an annotator: in the center of an error, or anywhere in an object."""

import zlib

import numpy as np
from scipy.ndimage import distance_transform_edt

from keras_sam.masks.measures import check_mask, mask_interior_point, mask_to_box


def next_click(mask: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    """Return the click in the center of the largest error.

    Missing and excess pixels that touch are one error. `largest_error_click` separates them.

    Args:
        mask: Current mask `(H, W)`, bool.
        target: Target mask `(H, W)`, bool.

    Returns:
        x, y and the label. The point is the interior point of the error, or of the target if
        there is no error. The label is 1 if the point is in the target, else 0.

    Raises:
        ValueError: If there is neither an error nor a target, or a shape is wrong.
    """
    error = mask ^ target
    x, y = mask_interior_point(error if error.any() else target)
    return x, y, int(target[y, x])


def largest_error_click(
    mask: np.ndarray, target: np.ndarray, clicked: np.ndarray
) -> tuple[int, int, int] | None:
    """Return the click of the number-of-clicks protocol.

    The click is the pixel farthest from the border of its error: of the missing pixels, or of
    the excess ones if they have a pixel at the same or a larger distance. Pixels beyond the
    image border count as correct. This is the clicker of RITM (Sofiiuk, Petrov and Konushin,
    2021) and SegNext (Liu, Cho, Bansal and Niethammer, 2024).

    Args:
        mask: Current mask `(H, W)`, bool.
        target: Target mask `(H, W)`, bool.
        clicked: Earlier clicks `(N, 2)` (x, y), integers. None of them is repeated.

    Returns:
        x, y and the label: 1 for a missing pixel, 0 for an excess one. Of several pixels at the
        same distance, the first in row-major order. `None` if every wrong pixel was clicked.
    """
    missing, missing_point = _deepest_pixel(target & ~mask, clicked)
    excess, excess_point = _deepest_pixel(mask & ~target, clicked)
    if max(missing, excess) == 0:
        return None
    return (*missing_point, 1) if missing > excess else (*excess_point, 0)


def jittered_click(mask: np.ndarray, *key: str | int) -> tuple[int, int]:
    """Return a random pixel of a mask, with equal probability for each.

    Args:
        mask: Mask `(H, W)`.
        *key: Values that determine the pixel, such as a seed, a file name and an annotation id.
            The same mask and key always give the same pixel.

    Returns:
        Pixel `(x, y)`.

    Raises:
        ValueError: If the mask is empty or has another shape.
    """
    mask = check_mask(mask)
    pixels = np.flatnonzero(mask)
    if not len(pixels):
        raise ValueError("an empty mask has no pixel to click")
    seed = zlib.crc32(repr(key).encode())
    y, x = divmod(int(pixels[np.random.default_rng(seed).integers(len(pixels))]), mask.shape[1])
    return x, y


def _deepest_pixel(error: np.ndarray, clicked: np.ndarray) -> tuple[int, tuple[int, int]]:
    """Return the highest squared distance to the border of an error, and its pixel (x, y).

    The distance is 0 if all pixels of the error were clicked.
    """
    x0, y0, x1, y1 = mask_to_box(error).astype(int)
    if x0 == x1:
        return 0, (0, 0)
    distances = distance_transform_edt(np.pad(error[y0:y1, x0:x1], 1))[1:-1, 1:-1]
    # Squared distances are integers. Rounding makes equal ones exactly equal.
    squared = np.rint(distances**2)
    for x, y in clicked:
        if x0 <= x < x1 and y0 <= y < y1:
            squared[y - y0, x - x0] = 0
    y, x = np.unravel_index(np.argmax(squared), squared.shape)
    return int(squared[y, x]), (int(x0 + x), int(y0 + y))
