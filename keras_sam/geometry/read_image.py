"""`read_image`: any picture as RGB pixels."""

import io
import os
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


class ImageError(ValueError):
    """A picture that cannot be read."""


def read_image(
    source: str | Path | bytes | IO[bytes] | Image.Image | np.ndarray,
    *,
    max_pixels: int = 200_000_000,
) -> np.ndarray:
    """Any picture as `(H, W, 3)` uint8 RGB.

    Transparency is laid over white, a camera's rotation is applied, and of an animation the
    first picture is taken. More than 8 bits, and floats, are stretched linearly from their least
    to their greatest value.

    Args:
        source: a path, an open file, the bytes of a file, a PIL image, or an array `(H, W)` or
            `(H, W, C)` with 1 to 4 channels. Files may be JPEG, PNG, WebP, BMP, TIFF or GIF.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        FileNotFoundError: if the path is missing.
        ImageError: if it is not such a picture, is damaged or too large.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, max_pixels)
    if isinstance(source, Image.Image):
        return _picture_to_rgb(source, max_pixels, "the image")
    name = "the image"
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = path.name
        if not path.exists():
            raise FileNotFoundError(f"there is no image at {path}")
        if path.is_dir():
            raise ImageError(f"{path} is a folder, not an image")
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            # Size is checked below, and oddities of metadata do not concern the pixels.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as picture:
                return _picture_to_rgb(picture, max_pixels, name)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} has too many pixels: {error}") from error
    except ImageError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ImageError(f"{name} is damaged: {error}") from error


def _picture_to_rgb(picture: Image.Image, max_pixels: int, name: str) -> np.ndarray:
    _check_pixels(picture.height, picture.width, max_pixels, name)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        return _array_to_rgb(np.asarray(picture), max_pixels)
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def _array_to_rgb(array: np.ndarray, max_pixels: int) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ImageError(
            f"an image has shape (H, W) or (H, W, C) with 1 to 4 channels, got {array.shape}"
        )
    _check_pixels(array.shape[0], array.shape[1], max_pixels, "the image")
    if array.ndim == 2:
        array = array[..., None]
    count = array.shape[2]
    colour, alpha = array, None
    if count in (2, 4):
        colour, alpha = array[..., :-1], array[..., -1:]
    colour = _to_uint8(colour)
    if alpha is not None:
        top = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
        opacity = np.clip(alpha / top, 0, 1)
        colour = np.round(colour * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colour, (*array.shape[:2], 3)))


def _to_uint8(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise ImageError(f"an image holds numbers, got {array.dtype}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ImageError("an image must be finite, got NaN or infinity")
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)


def _check_pixels(height: int, width: int, max_pixels: int, name: str) -> None:
    if height < 1 or width < 1:
        raise ImageError(f"{name} is empty: {width} x {height} pixels")
    if height * width > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the {max_pixels} allowed"
        )
