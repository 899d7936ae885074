"""`ImageReader`: an image of any size, read a part at a time."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Self, final

import numpy as np

from keras_sam.images.georeference import Georeference, read_georeference

Box = tuple[int, int, int, int]


class ImageReader(ABC):
    """An image of any size, read a part at a time.

    `open_image` opens files. A source of your own, such as a slide or an array on a server, is a
    subclass with `size` and `read`. Use it in a `with` statement, which closes it.
    """

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the image."""

    @abstractmethod
    def read(self, box: Box) -> np.ndarray:
        """The pixels of a box.

        Args:
            box: XYXY in whole pixels, inside the image.

        Returns:
            `(y1 - y0, x1 - x0, 3)` uint8 RGB.

        Raises:
            ImageError: if the file is damaged.
            ValueError: if the box is empty or leaves the image.
        """

    @property
    def georeference(self) -> Georeference | None:
        """From pixels to the map, or None where that is unknown."""
        return None

    def is_nodata(self, box: Box) -> bool:
        """Whether a source knows that a box holds no data, so that nothing can be found there."""
        return False

    def close(self) -> None:  # noqa: B027 (many sources hold nothing)
        """Lets go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@final
class ArrayReader(ImageReader):
    """Windows of pixels that are held, or mapped as by `numpy.memmap`.

    Args:
        pixels: `(H, W, 3)` uint8 RGB.
        path: the picture that they are of; its georeference is read when it is asked for.

    Raises:
        ValueError: if the pixels are something else.
    """

    def __init__(self, pixels: np.ndarray, *, path: str | Path | None = None) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise ValueError(
                f"pixels must be (H, W, 3) uint8, got {pixels.shape} of {pixels.dtype}"
            )
        self.pixels = pixels
        self.path = path

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def georeference(self) -> Georeference | None:
        """From pixels to the map, or None where that is unknown.

        Raises:
            ValueError: if it is malformed.
        """
        return None if self.path is None else read_georeference(self.path)

    def read(self, box: Box) -> np.ndarray:
        """The pixels `(y1 - y0, x1 - x0, 3)` uint8 of a box XYXY.

        Raises:
            ValueError: if the box is empty or leaves the image.
        """
        x0, y0, x1, y1 = check_window(box, self.size)
        return np.ascontiguousarray(self.pixels[y0:y1, x0:x1])


def check_window(box: Box, size: tuple[int, int]) -> Box:
    """A box XYXY in whole numbers.

    Raises:
        ValueError: if it is empty or leaves an image of this `(height, width)`.
    """
    x0, y0, x1, y1 = (int(side) for side in box)
    if not (0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0]):
        raise ValueError(f"a window must lie in an image of size {size}, got {tuple(box)}")
    return x0, y0, x1, y1
