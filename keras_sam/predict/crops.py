"""`crop_boxes`: overlapping crops of an image, in layers with more and more crops."""

import math
from typing import NamedTuple

from keras_sam.types import Box, Size


class Crop(NamedTuple):
    """A rectangle of an image.

    Attributes:
        box: Corners XYXY in whole pixels of the original.
        layer: 0 for the whole image, n for one of `4 ** n` crops.
    """

    box: Box
    layer: int = 0

    @property
    def size(self) -> Size:
        """`(height, width)`."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    def shifted(self, x: int, y: int) -> "Crop":
        """Return the crop moved by `x` pixels to the right and `y` pixels down."""
        x0, y0, x1, y1 = self.box
        return self._replace(box=(x0 + x, y0 + y, x1 + x, y1 + y))


def crop_boxes(original_size: Size, *, crop_n_layers: int, overlap_ratio: float) -> list[Crop]:
    """Return the whole image, followed by the crops of each layer, column by column.

    Args:
        original_size: `(height, width)` of the image.
        crop_n_layers: Number of layers. Layer n has `2 ** n` crops along each side.
        overlap_ratio: Overlap of the crops of layer 1, as a fraction of the image's shorter
            side. Each further layer has half the overlap.
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
