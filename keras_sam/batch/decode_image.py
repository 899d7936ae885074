"""`decode_image`: the pixels of an image of a batch, or the error that prevents reading it."""

import os
import stat
import time
from dataclasses import dataclass

import numpy as np

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.image_result import ErrorInfo
from keras_sam.errors import ImageError
from keras_sam.images.read_image import read_image


@dataclass(frozen=True)
class DecodedImage:
    """An image of a batch with its pixels, or with an error.

    Attributes:
        image: Name, path and prompts.
        seconds: Time taken by decoding.
        pixels: RGB pixels `(H, W, 3)`, uint8, or `None` after an error.
        error: Error, or `None`.
    """

    image: BatchImage
    seconds: float
    pixels: np.ndarray | None = None
    error: ErrorInfo | None = None


def decode_image(image: BatchImage, *, max_pixels: int) -> DecodedImage:
    """Decode the file of an image. Exceptions are returned, not raised.

    Args:
        image: Image to decode.
        max_pixels: Maximum number of pixels. Larger images are errors.
    """
    started = time.perf_counter()
    pixels, error = None, None
    try:
        _check_file_type(image.path)
        pixels = read_image(image.path, max_pixels=max_pixels)
    except Exception as exception:  # image decoders raise exceptions of many types
        error = ErrorInfo.from_exception(exception)
    return DecodedImage(image, time.perf_counter() - started, pixels, error)


def _check_file_type(path: str) -> None:
    """Raise `ImageError` for a pipe or a device, whose reader might wait forever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # `read_image` raises an error that explains the problem
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ImageError(f"{path} must be a regular file, got a pipe or a device")
