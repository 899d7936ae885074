"""Sample inputs, with which exported files are checked."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from PIL import Image

from keras_sam.export.program import SampleFn
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD

PHOTO = "astronaut.jpg"


def photo(side: int) -> SampleFn:
    """Sample normalized images `(B, 3, side, side)`: the photograph of an astronaut."""

    def sample(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        image = normalize_photo(_read_photo(), side)
        return np.broadcast_to(image, shape).astype(np.float32)

    return sample


def photo_pixels(side: int | None = None) -> SampleFn:
    """Sample the photograph as pixels `(H, W, 3)` in [0, 255], cropped to a random size.

    Args:
        side: Longest side of the sample. If `None`, the photograph is cropped without resizing.
    """

    def sample(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        image = Image.fromarray(_read_photo())
        if side is not None:
            image = image.resize((side, side))
        height, width = shape[:2]
        return np.asarray(image, np.float32)[:height, :width]

    return sample


def uniform(low: float, high: float) -> SampleFn:
    """Sample uniform float32 values."""
    return lambda random, shape: random.uniform(low, high, shape).astype(np.float32)


def choice(values: Sequence[float], dtype: str = "float32") -> SampleFn:
    """Sample from some values."""
    return lambda random, shape: random.choice(values, shape).astype(dtype)


def normalize_photo(pixels: np.ndarray, side: int) -> np.ndarray:
    """Resize, normalize and pad an image `(H, W, 3)` in [0, 255] as Meta's `SamPredictor` does.

    Returns:
        Image `(1, 3, side, side)`, float32.
    """
    transform = ImageTransform((pixels.shape[0], pixels.shape[1]), (side, side))
    image = transform.apply_image(pixels.astype(np.uint8))
    image = (image - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
    return image.transpose(2, 0, 1)[None]


def _read_photo() -> np.ndarray:
    with (files("keras_sam") / "assets" / PHOTO).open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))
