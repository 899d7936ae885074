"""`point_grid`: points spread evenly over an image, for everything mode."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def point_grid(points_per_side: int) -> np.ndarray:
    """The centers of equal cells, row by row.

    Args:
        points_per_side: cells along each side, at least 1.

    Returns:
        `(points_per_side ** 2, 2)` float64 (x, y), each in 0..1 of the image's sides.
    """
    if points_per_side < 1:
        raise ValueError(f"points_per_side must be 1 or more, got {points_per_side}")
    centers = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(centers, centers)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def subdivide_points(points: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The centers of the quarters of cells: those of a grid of `2 n` cells a side from one of n.

    Args:
        points: `(P, 2)` (x, y), centers of cells.
        cell: `(width, height)` of a cell.

    Returns:
        `(4 P, 2)`.
    """
    quarters = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) / 4 * cell
    return (points[:, None] + quarters).reshape(-1, 2)


def points_per_layer(
    points_per_side: int, *, crop_n_layers: int, downscale_factor: int
) -> list[int]:
    """Points per side for the whole image, and for the crops of each layer.

    Args:
        points_per_side: of the whole image.
        crop_n_layers: number of layers of crops.
        downscale_factor: layer n has `points_per_side / factor ** n` points per side.

    Raises:
        ValueError: if a layer would have no point.
    """
    sides = [points_per_side // downscale_factor**layer for layer in range(crop_n_layers + 1)]
    if min(sides) < 1:
        raise ValueError(
            f"points_per_side={points_per_side} leaves no point in layer {crop_n_layers}, where "
            f"it is divided by {downscale_factor}**{crop_n_layers}"
        )
    return sides


def check_point_grids(grids: Sequence[Any], *, crop_n_layers: int) -> list[np.ndarray]:
    """Grids as arrays, if they are points in 0..1.

    Args:
        grids: for each layer `(P, 2)` (x, y), for the whole image first.
        crop_n_layers: number of layers of crops.

    Raises:
        ValueError: if they are something else, or too few.
    """
    checked = [np.asarray(grid, np.float64) for grid in grids]
    if len(checked) <= crop_n_layers:
        raise ValueError(
            f"point_grids must hold one grid for each of {crop_n_layers + 1} layers, got "
            f"{len(checked)}"
        )
    for grid in checked:
        is_inside = grid.ndim == 2 and grid.shape[1:] == (2,) and len(grid)
        if not is_inside or not ((grid >= 0) & (grid <= 1)).all():
            raise ValueError(
                f"a point grid holds points (P, 2) (x, y) in 0..1, got shape {grid.shape}"
            )
    return checked
