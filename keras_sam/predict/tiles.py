"""`plan_tiles`: overlapping squares that cover an image."""

import numpy as np

from keras_sam.types import is_size

Box = tuple[int, int, int, int]


def plan_tiles(size: tuple[int, int], *, tile_size: int, overlap: int) -> list[Box]:
    """Tiles that cover an image, row by row.

    All have one size, so that a model sees all at one scale: they are spread evenly, and overlap
    more than they must where their number does not divide the image. An image smaller than a tile
    is one tile along that side.

    Args:
        size: `(height, width)` of the image.
        tile_size: pixels along each side.
        overlap: pixels that neighbors share at least.

    Returns:
        Boxes XYXY in whole pixels.

    Raises:
        ValueError: if the overlap is not in 1..tile_size / 2, or the size is none.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    if not 1 <= overlap <= tile_size // 2:
        raise ValueError(
            "overlap must be at least 1 and at most half of tile_size, "
            f"got {overlap} and {tile_size}"
        )
    rows, columns = (_starts(int(side), tile_size, overlap) for side in size)
    height, width = (min(int(side), tile_size) for side in size)
    return [(x, y, x + width, y + height) for y in rows for x in columns]


def _starts(side: int, tile_size: int, overlap: int) -> list[int]:
    count = max(1, -(-(side - overlap) // (tile_size - overlap)))
    starts: list[int] = (
        np.rint(np.linspace(0, max(0, side - tile_size), count)).astype(int).tolist()
    )
    return starts
