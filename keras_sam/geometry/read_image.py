"""`read_image`: any picture to RGB pixels."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 200_000_000


class ImageError(ValueError):
    """A picture that cannot be read."""


def read_image(source: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture as RGB.

    EXIF rotation is applied. Transparency is put over white. Grey becomes three equal channels;
    16-bit and float values are stretched linearly so that their range fills 0..255.

    Args:
        source: a path, bytes, an open binary file, a Pillow image, or an array `(H, W)`,
            `(H, W, 1)`, `(H, W, 3)` or `(H, W, 4)`.
        max_pixels: largest `height * width`, checked before a file is decoded.

    Returns:
        `(H, W, 3)` uint8.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageError: if the file is damaged, too large, or of another format than JPEG, PNG,
            WebP, BMP, TIFF and GIF; or if an array has no such shape.
        TypeError: for any other kind of source.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source)
    if isinstance(source, Image.Image):
        return _picture_to_rgb(source, "the picture", max_pixels)
    name, file = "the picture", source
    if isinstance(source, str | Path):
        name = str(source)
        if not Path(source).is_file():
            raise FileNotFoundError(f"no image file {name}")
        file = Path(source).open("rb")
    elif isinstance(source, bytes):
        file = io.BytesIO(source)
    elif not hasattr(source, "read"):
        raise TypeError(
            "an image is a path, bytes, a binary file, a Pillow image or an array, got "
            f"{type(source).__name__}"
        )
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels is ours
        try:
            with Image.open(file, formats=FORMATS) as picture:
                return _picture_to_rgb(picture, name, max_pixels)
        except UnidentifiedImageError as error:
            raise ImageError(f"{name} is not a picture of a format among {FORMATS}") from error
        except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise ImageError(f"{name} cannot be decoded: {error}") from error


def _picture_to_rgb(picture: Image.Image, name: str, max_pixels: int) -> np.ndarray:
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageError(f"{name} has {width} x {height} pixels; at most {max_pixels} are read")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        return _array_to_rgb(np.asarray(picture))
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def _array_to_rgb(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"an image array has shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        array = _stretch(array)
    if array.shape[-1] == 4:
        return np.array(_picture_to_rgb(Image.fromarray(array), "the array", array.size))
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _stretch(array: np.ndarray) -> np.ndarray:
    """Any numbers to 0..255, the smallest to 0 and the largest to 255."""
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise ImageError(f"an image array holds numbers, got {array.dtype}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageError("an image array holds finite numbers, got NaN or infinity")
    low, high = values.min(), values.max()
    return np.round((values - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
