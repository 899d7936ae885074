"""Prompts in the user's pixels, checked before they reach the model."""

from typing import Any

import numpy as np


def check_points(
    point_coords: Any, point_labels: Any, original_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Points `(..., N, 2)` and labels `(..., N)` as float32 and int32 arrays.

    Raises:
        ValueError: if a shape is off, labels are not 0 or 1, or a point lies outside the image.
    """
    coords = _numbers("point_coords", point_coords)
    if point_labels is None:
        raise ValueError("point_labels must come with point_coords: 1 foreground, 0 background")
    labels = _numbers("point_labels", point_labels)
    if coords.ndim < 2 or coords.shape[-1] != 2:
        raise ValueError(f"point_coords must have shape (N, 2), got {coords.shape}")
    if labels.shape != coords.shape[:-1]:
        raise ValueError(
            f"point_labels must have shape {coords.shape[:-1]}, one for each point, got "
            f"{labels.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"point_labels must be 1 (foreground) or 0 (background), got {labels}")
    height, width = original_size
    outside = (coords < 0).any(-1) | (coords[..., 0] > width) | (coords[..., 1] > height)
    if outside.any():
        x, y = coords[outside][0]
        raise ValueError(f"point ({x:g}, {y:g}) lies outside the image of {width} x {height} pixels")
    return coords.astype(np.float32), labels.astype(np.int32)


def check_boxes(boxes: Any, original_size: tuple[int, int]) -> np.ndarray:
    """Boxes XYXY `(..., 4)` as a float32 array.

    Raises:
        ValueError: if the shape is off, a box has no area, or it lies outside the image.
    """
    array = _numbers("box", boxes)
    if not array.ndim or array.shape[-1] != 4:
        raise ValueError(f"a box is (x0, y0, x1, y1), got shape {array.shape}")
    height, width = original_size
    for x0, y0, x1, y1 in array.reshape(-1, 4):
        if x1 <= x0 or y1 <= y0:
            raise ValueError(
                f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) has no area; expected x0 < x1 and y0 < y1"
            )
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise ValueError(
                f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) reaches outside the image of {width} x "
                f"{height} pixels"
            )
    return array.astype(np.float32)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers in a regular array") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array}")
    return array
