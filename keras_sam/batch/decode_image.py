"""`decode_image`: a file of a batch as pixels."""

import os
import stat

import numpy as np

from keras_sam.errors import ImageError
from keras_sam.images.read_image import read_image


def decode_image(path: str, *, max_pixels: int) -> np.ndarray:
    """The pixels `(H, W, 3)` uint8 of a file; never waits for a pipe.

    Raises:
        FileNotFoundError: if there is none.
        ImageError: if it is no picture, or has more pixels than `max_pixels`.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return read_image(path, max_pixels=max_pixels)  # it says what is wrong
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ImageError(f"{path} is a pipe or a device, not a file")
    return read_image(path, max_pixels=max_pixels)
