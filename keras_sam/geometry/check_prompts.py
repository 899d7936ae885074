"""`check_points` and `check_box`: prompts that make sense for an image."""

from typing import Any

import numpy as np

POINT_LABELS = (1, 0, -1)


def check_points(
    point_coords: Any, point_labels: Any, original_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Points and labels as arrays, if they can prompt an image.

    Args:
        point_coords: `(N, 2)` pixels (x, y) of the original.
        point_labels: `(N,)`: 1 foreground, 0 background, -1 not a point.
        original_size: `(height, width)`.

    Returns:
        `(N, 2)` float32 and `(N,)` int32.

    Raises:
        ValueError: for other shapes or labels, and points that are not finite or outside.
    """
    if point_coords is None:
        raise ValueError("point_labels came without point_coords")
    if point_labels is None:
        raise ValueError("point_labels must be given with point_coords")
    coords = _numbers("point_coords", point_coords)
    labels = _numbers("point_labels", point_labels)
    if coords.ndim != 2 or coords.shape[1] != 2 or not len(coords):
        raise ValueError(f"point_coords must have shape (N, 2), got {coords.shape}")
    if labels.shape != coords.shape[:1]:
        raise ValueError(
            f"point_labels must have shape {coords.shape[:1]}, one for each point, "
            f"got {labels.shape}"
        )
    if not np.isin(labels, POINT_LABELS).all():
        wrong = labels[~np.isin(labels, POINT_LABELS)][0]
        raise ValueError(f"point_labels must be 1, 0 or -1, got {wrong:g}")
    if not np.isfinite(coords).all():
        raise ValueError(f"point_coords must be finite, got {coords.tolist()}")
    height, width = original_size
    outside = ((coords < 0) | (coords > (width, height))).any(axis=1) & (labels != -1)
    if outside.any():
        x, y = coords[outside][0]
        raise ValueError(
            f"point ({x:g}, {y:g}) is outside the image of width {width} and height {height}"
        )
    return coords.astype(np.float32), labels.astype(np.int32)


def check_box(box: Any, original_size: tuple[int, int]) -> np.ndarray:
    """A box as an array, if it can prompt an image.

    Args:
        box: `(4,)` XYXY pixels of the original.
        original_size: `(height, width)`.

    Returns:
        `(4,)` float32.

    Raises:
        ValueError: for another shape, and a box that is not finite, empty or outside.
    """
    corners = _numbers("box", box)
    if corners.shape != (4,):
        raise ValueError(f"box must have shape (4,), x0, y0, x1, y1; got {corners.shape}")
    if not np.isfinite(corners).all():
        raise ValueError(f"box must be finite, got {corners.tolist()}")
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"box must have x0 < x1 and y0 < y1, got {corners.tolist()}")
    height, width = original_size
    if min(x0, y0) < 0 or x1 > width or y1 > height:
        raise ValueError(
            f"box {corners.tolist()} reaches outside the image of width {width} and height {height}"
        )
    return corners.astype(np.float32)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {values!r}") from error
