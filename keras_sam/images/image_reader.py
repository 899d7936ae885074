"""`ImageReader`: an image of any size that is read in boxes."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np

from keras_sam.images.georeference import Georeference, read_georeference
from keras_sam.types import Box, Size


class ImageReader(ABC):
    """An image of any size that is read in boxes.

    `open_image` returns a reader for files and arrays. For other sources, such as a whole-slide
    image or an array on a server, write a subclass with `size` and `read`. A reader is a context
    manager that closes its file.
    """

    @property
    @abstractmethod
    def size(self) -> Size:
        """`(height, width)` of the image."""

    @abstractmethod
    def read(self, box: Box) -> np.ndarray:
        """Read the pixels of a box.

        Args:
            box: XYXY box in whole pixels, inside the image.

        Returns:
            Pixels `(y1 - y0, x1 - x0, 3)` uint8 RGB.

        Raises:
            ImageError: If the file is damaged.
            ValueError: If the box is empty or extends beyond the image.
        """

    @property
    def georeference(self) -> Georeference | None:
        """Map coordinates of the pixels, or None if they are unknown."""
        return None

    def is_nodata(self, box: Box) -> bool:
        """Return True if a box is known to contain no data. Such a box needs no processing.

        Args:
            box: XYXY box in whole pixels, inside the image.
        """
        return False

    def close(self) -> None:  # noqa: B027 (optional: many sources have nothing to close)
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@final
class ArrayReader(ImageReader):
    """Reader of an array in memory, or mapped from a file by `numpy.memmap`.

    Args:
        pixels: Image `(H, W, 3)` uint8 RGB. It is not copied.
        path: File of the image, from which `georeference` is read on first access.

    Raises:
        ValueError: If the array has another shape or dtype, or no pixels.
    """

    def __init__(self, pixels: np.ndarray, *, path: str | Path | None = None) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise ValueError(
                f"pixels must be (H, W, 3) uint8, got shape {pixels.shape} and dtype {pixels.dtype}"
            )
        self.pixels = pixels
        self.path = path

    @property
    def size(self) -> Size:
        """`(height, width)` of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def georeference(self) -> Georeference | None:
        """Map coordinates of the pixels, or None if they are unknown.

        Raises:
            ValueError: If the georeference is malformed.
        """
        return None if self.path is None else read_georeference(self.path)

    def read(self, box: Box) -> np.ndarray:
        """Read the pixels `(y1 - y0, x1 - x0, 3)` uint8 RGB of an XYXY box.

        Raises:
            ValueError: If the box is empty or extends beyond the image.
        """
        x0, y0, x1, y1 = check_box_in_image(box, self.size)
        return np.ascontiguousarray(self.pixels[y0:y1, x0:x1])


def check_box_in_image(box: Box, size: Size) -> Box:
    """Return an XYXY box as Python integers.

    Args:
        box: XYXY box in whole pixels.
        size: `(height, width)` of the image.

    Raises:
        ValueError: If the box is empty or extends beyond the image.
    """
    x0, y0, x1, y1 = (int(side) for side in box)
    if not (0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0]):
        raise ValueError(f"box must lie inside an image of size {size}, got {tuple(box)}")
    return x0, y0, x1, y1
