"""`crop_boxes`: overlapping crops of an image, in layers of finer and finer ones."""

import math
from typing import NamedTuple


class Crop(NamedTuple):
    """A part of an image.

    Attributes:
        box: XYXY in whole pixels of the original.
        layer: 0 for the whole image, n for one of `4 ** n` crops.
    """

    box: tuple[int, int, int, int]
    layer: int

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    def moved(self, x: int, y: int) -> "Crop":
        """The same crop so many pixels to the right and down."""
        x0, y0, x1, y1 = self.box
        return self._replace(box=(x0 + x, y0 + y, x1 + x, y1 + y))


def crop_boxes(
    original_size: tuple[int, int], *, crop_n_layers: int, overlap_ratio: float
) -> list[Crop]:
    """The whole image, then the crops of each layer, column by column.

    Args:
        original_size: `(height, width)`.
        crop_n_layers: number of layers; layer n has `2 ** n` crops along each side.
        overlap_ratio: overlap of the crops of layer 1, as a share of the short side; half as much
            in each further layer.
    """
    height, width = original_size
    crops = [Crop((0, 0, width, height), 0)]
    for layer in range(1, crop_n_layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(height, width) * 2 / count)
        crop_width, crop_height = (
            math.ceil((overlap * (count - 1) + side) / count) for side in (width, height)
        )
        for column in range(count):
            for row in range(count):
                x0, y0 = column * (crop_width - overlap), row * (crop_height - overlap)
                box = (x0, y0, min(x0 + crop_width, width), min(y0 + crop_height, height))
                crops.append(Crop(box, layer))
    return crops
