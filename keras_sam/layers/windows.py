"""Attention windows: an embedding grid cut into squares, and merged again."""

from typing import Any

from keras import ops


def grid_to_windows(grid: Any, window_size: int) -> Any:
    """Cut a padded grid into attention windows.

    Args:
        grid: Grid `(B, H, W, C)`. `H` and `W` are multiples of `window_size`.
        window_size: Side of a window in tokens.

    Returns:
        Windows `(B * windows, window_size, window_size, C)`, in row-major order within each image.
    """
    height, width, channels = grid.shape[1:]
    rows, columns = height // window_size, width // window_size
    grid = ops.reshape(grid, (-1, rows, window_size, columns, window_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))  # (B, rows, columns, S, S, C)
    return ops.reshape(grid, (-1, window_size, window_size, channels))


def windows_to_grid(windows: Any, grid_size: tuple[int, int]) -> Any:
    """Merge attention windows into a grid, and drop the padding.

    Args:
        windows: Windows `(B * windows, S, S, C)` of `grid_to_windows`.
        grid_size: `(height, width)` of the grid before padding.

    Returns:
        Grid `(B, height, width, C)`.
    """
    window_size, channels = windows.shape[1], windows.shape[-1]
    height, width = grid_size
    rows, columns = -(-height // window_size), -(-width // window_size)
    grid = ops.reshape(windows, (-1, rows, columns, window_size, window_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))  # (B, rows, S, columns, S, C)
    grid = ops.reshape(grid, (-1, rows * window_size, columns * window_size, channels))
    return grid[:, :height, :width]


def pad_grid(grid: Any, window_size: int) -> Any:
    """Pad a grid with zeros at the right and the bottom.

    Args:
        grid: Grid `(B, H, W, C)`.
        window_size: Side of a window in tokens.

    Returns:
        Grid whose sides are the next multiples of `window_size`.
    """
    height, width = grid.shape[1], grid.shape[2]
    bottom, right = -height % window_size, -width % window_size
    if not bottom and not right:
        return grid
    return ops.pad(grid, ((0, 0), (0, bottom), (0, right), (0, 0)))
