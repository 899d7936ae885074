"""`check_points` and `check_box`: validate prompts against their image."""

import reprlib
from typing import Any

import numpy as np

from keras_sam.types import Size, is_size

POINT_LABELS = (1, 0, -1)


def check_points(
    point_coords: Any, point_labels: Any, original_size: Size
) -> tuple[np.ndarray, np.ndarray]:
    """Validate the points of one prompt.

    Args:
        point_coords: Points `(N, 2)` (x, y) in pixels of the original, with 0 <= x < width and
            0 <= y < height. Whole numbers are pixel indices.
        point_labels: Labels `(N,)`: 1 foreground, 0 background, -1 not a point.
        original_size: `(height, width)` of the image.

    Returns:
        Points `(N, 2)`, float32, and labels `(N,)`, int32.

    Raises:
        ValueError: If shapes or labels are wrong, or a point is not finite or outside the image.
            Points with label -1 may be outside.
    """
    height, width = _check_size(original_size)
    if point_coords is None:
        raise ValueError("point_labels was given without point_coords")
    if point_labels is None:
        raise ValueError("point_coords was given without point_labels")
    coords = _to_numbers("point_coords", point_coords)
    labels = _to_numbers("point_labels", point_labels)
    if coords.ndim != 2 or coords.shape[1] != 2 or not len(coords):
        raise ValueError(f"point_coords must have shape (N, 2), got {coords.shape}")
    if labels.shape != coords.shape[:1]:
        raise ValueError(
            f"point_labels must have shape {coords.shape[:1]}, one label per point, "
            f"got {labels.shape}"
        )
    if not np.isin(labels, POINT_LABELS).all():
        wrong = labels[~np.isin(labels, POINT_LABELS)][0]
        raise ValueError(f"point_labels must be 1, 0 or -1, got {wrong:g}")
    if not np.isfinite(coords).all():
        raise ValueError(f"point_coords must be finite, got {reprlib.repr(coords.tolist())}")
    is_outside = ((coords < 0) | (coords >= (width, height))).any(axis=1) & (labels != -1)
    if is_outside.any():
        x, y = coords[is_outside][0]
        raise ValueError(
            f"point ({x:g}, {y:g}) is outside the image of width {width} and height {height}: "
            f"expected 0 <= x < {width} and 0 <= y < {height}"
        )
    return coords.astype(np.float32), labels.astype(np.int32)


def check_box(box: Any, original_size: Size) -> np.ndarray:
    """Validate a box prompt.

    Args:
        box: Box `(4,)` XYXY in pixels of the original. Its sides are edges between pixels: x1 is
            at most the width, y1 at most the height.
        original_size: `(height, width)` of the image.

    Returns:
        Box `(4,)`, float32.

    Raises:
        ValueError: If the shape is wrong, or the box is not finite, empty or outside the image.
    """
    height, width = _check_size(original_size)
    corners = _to_numbers("box", box)
    if corners.shape != (4,):
        raise ValueError(f"box must have shape (4,), x0, y0, x1, y1, got {corners.shape}")
    if not np.isfinite(corners).all():
        raise ValueError(f"box must be finite, got {corners.tolist()}")
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"box must have x0 < x1 and y0 < y1, got {corners.tolist()}")
    if min(x0, y0) < 0 or x1 > width or y1 > height:
        raise ValueError(
            f"box {corners.tolist()} is not inside the image of width {width} and height {height}"
        )
    return corners.astype(np.float32)


def _check_size(original_size: Any) -> Size:
    if not is_size(original_size):
        raise ValueError(
            f"original_size must be (height, width), whole numbers of at least 1, "
            f"got {original_size!r}"
        )
    return original_size[0], original_size[1]


def _to_numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
        is_numeric = array.dtype.kind in "biuf"
    except (TypeError, ValueError):
        is_numeric = False
    if not is_numeric:
        raise ValueError(f"{name} must be an array of numbers, got {reprlib.repr(values)}")
    return array.astype(np.float64)
