"""`plan_tiles`: overlapping squares that cover an image."""

import numpy as np

from keras_sam.types import Box, Size, is_size


def plan_tiles(size: Size, *, tile_size: int, overlap: int) -> list[Box]:
    """Return tiles that cover an image, row by row.

    All tiles have the same size, so the model processes them at the same scale. They are spaced
    evenly, with more overlap than required where tiles do not divide the image. An image that is
    smaller than a tile along an axis has one tile along that axis.

    Args:
        size: `(height, width)` of the image.
        tile_size: Side of a tile in pixels.
        overlap: Minimum overlap of neighboring tiles in pixels.

    Returns:
        Boxes XYXY in whole pixels.

    Raises:
        ValueError: If the overlap is not in 1..tile_size / 2, or the size is not valid.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    if not 1 <= overlap <= tile_size // 2:
        raise ValueError(
            f"overlap must be at least 1 and at most half of tile_size {tile_size}, got {overlap}"
        )
    rows, columns = (_tile_starts(int(side), tile_size, overlap) for side in size)
    height, width = (min(int(side), tile_size) for side in size)
    return [(x, y, x + width, y + height) for y in rows for x in columns]


def _tile_starts(side: int, tile_size: int, overlap: int) -> list[int]:
    count = max(1, -(-(side - overlap) // (tile_size - overlap)))
    starts = np.rint(np.linspace(0, max(0, side - tile_size), count)).astype(int)
    return [int(start) for start in starts]
