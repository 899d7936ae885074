"""Windows: cut an embedding grid into square windows, and put it together again."""

from typing import Any

from keras import ops


def grid_to_windows(grid: Any, window_size: int) -> Any:
    """Cuts a padded grid into windows.

    Args:
        grid: tensor `(B, H, W, C)`; `H` and `W` are multiples of `window_size`.
        window_size: side of a window in tokens.

    Returns:
        Tensor `(B * windows, window_size, window_size, C)`, windows of an image in row-major
        order.
    """
    height, width, channels = grid.shape[1:]
    rows, columns = height // window_size, width // window_size
    grid = ops.reshape(grid, (-1, rows, window_size, columns, window_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))  # (B, rows, columns, S, S, C)
    return ops.reshape(grid, (-1, window_size, window_size, channels))


def windows_to_grid(windows: Any, grid_size: tuple[int, int]) -> Any:
    """Undoes `grid_to_windows`, and drops the tokens that only padded the grid.

    Args:
        windows: tensor `(B * windows, S, S, C)`.
        grid_size: `(height, width)` of the grid before it was padded.

    Returns:
        Tensor `(B, height, width, C)`.
    """
    window_size, channels = windows.shape[1], windows.shape[-1]
    height, width = grid_size
    rows, columns = -(-height // window_size), -(-width // window_size)
    grid = ops.reshape(windows, (-1, rows, columns, window_size, window_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))  # (B, rows, S, columns, S, C)
    grid = ops.reshape(grid, (-1, rows * window_size, columns * window_size, channels))
    return grid[:, :height, :width]


def pad_grid(grid: Any, window_size: int) -> Any:
    """Pads a grid `(B, H, W, C)` with zeros, right and bottom, to multiples of `window_size`."""
    height, width = grid.shape[1], grid.shape[2]
    bottom, right = -height % window_size, -width % window_size
    if not bottom and not right:
        return grid
    return ops.pad(grid, ((0, 0), (0, bottom), (0, right), (0, 0)))
