"""`point_grid`: points spread evenly over an image, for everything mode."""

import numpy as np


def point_grid(points_per_side: int) -> np.ndarray:
    """The centres of equal cells, row by row.

    Args:
        points_per_side: cells along each side, at least 1.

    Returns:
        `(points_per_side ** 2, 2)` float64 (x, y), each in 0..1 of the image's sides.
    """
    if points_per_side < 1:
        raise ValueError(f"points_per_side must be 1 or more, got {points_per_side}")
    centres = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def layer_point_grids(
    points_per_side: int, *, crop_n_layers: int, downscale_factor: int
) -> list[np.ndarray]:
    """A grid for the whole image and one for the crops of each layer.

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
    return [point_grid(side) for side in sides]
