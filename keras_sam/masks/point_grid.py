"""`point_grid`: evenly spaced prompt points for automatic mask generation."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def point_grid(points_per_side: int) -> np.ndarray:
    """Return the centers of the cells of a regular grid, row by row.

    Args:
        points_per_side: Number of cells along each side, at least 1.

    Returns:
        Points `(points_per_side ** 2, 2)` float64 (x, y), as fractions of the image's width and
        height in [0, 1].

    Raises:
        ValueError: If `points_per_side` is less than 1.
    """
    if points_per_side < 1:
        raise ValueError(f"points_per_side must be at least 1, got {points_per_side}")
    centers = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(centers, centers)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def subdivide_points(points: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Replace each cell of a grid by its four quarters.

    Subdividing all points of a grid with n cells per side gives the grid with 2 n cells per side.

    Args:
        points: `(P, 2)` (x, y), centers of cells.
        cell: `(2,)`, width and height of a cell.

    Returns:
        Centers `(4 P, 2)` of the quarters.
    """
    quarters = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) / 4 * cell
    return (points[:, None] + quarters).reshape(-1, 2)


def points_per_layer(
    points_per_side: int, *, crop_n_layers: int, downscale_factor: int
) -> list[int]:
    """Return the number of points per side in the image and in the crops of each layer.

    Args:
        points_per_side: Number of points per side in the whole image.
        crop_n_layers: Number of layers of crops.
        downscale_factor: Divisor per layer. Layer n has
            `points_per_side // downscale_factor ** n` points per side.

    Returns:
        `crop_n_layers + 1` numbers, the first one of the whole image.

    Raises:
        ValueError: If a layer would have no point.
    """
    sides = [points_per_side // downscale_factor**layer for layer in range(crop_n_layers + 1)]
    if min(sides) < 1:
        raise ValueError(
            f"points_per_side={points_per_side} is too small for {crop_n_layers} layers of crops. "
            f"It must be at least {downscale_factor}**{crop_n_layers}"
        )
    return sides


def check_point_grids(grids: Sequence[Any], *, crop_n_layers: int) -> list[np.ndarray]:
    """Return point grids given by the user as float64 arrays.

    Args:
        grids: Points `(P, 2)` (x, y) in [0, 1] of each layer, the whole image first.
        crop_n_layers: Number of layers of crops.

    Raises:
        ValueError: If there are fewer than `crop_n_layers + 1` grids, or one has another shape,
            no points, or points outside [0, 1].
    """
    arrays = [np.asarray(grid, np.float64) for grid in grids]
    if len(arrays) <= crop_n_layers:
        raise ValueError(
            f"point_grids must contain one grid for each of the {crop_n_layers + 1} layers, got "
            f"{len(arrays)}"
        )
    for grid in arrays:
        has_points = grid.ndim == 2 and grid.shape[1:] == (2,) and len(grid)
        if not has_points or not ((grid >= 0) & (grid <= 1)).all():
            raise ValueError(
                f"a point grid must be points (P, 2) (x, y) in [0, 1], got shape {grid.shape}"
            )
    return arrays
