"""`read_image`: any picture as RGB pixels."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

from keras_sam.images.tiff_tags import read_tiff_tags

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 200_000_000
ORIENTATION = 0x0112  # tag of EXIF and of TIFF


class ImageError(ValueError):
    """A picture that cannot be read."""


class TooManyPixelsError(ImageError):
    """A picture that is larger than allowed."""


def read_image(
    source: str | Path | bytes | IO[bytes] | Image.Image | np.ndarray,
    *,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Any picture as `(H, W, 3)` uint8 RGB.

    Transparency is laid over white, a camera's rotation is applied, and of an animation the
    first picture is taken. Gray pictures and arrays of more than 8 bits, and floats, are stretched
    linearly from their least to their greatest value, all channels of an array together. Of files
    with 16 bits a channel in color, or in gray with transparency, Pillow decodes the high byte
    alone, which is taken as it is; to stretch such a picture, give it as an array.

    Args:
        source: a path, an open binary file, the bytes of a file, a PIL image, or an array
            `(H, W)` or `(H, W, C)` with 1 to 4 channels. Files may be JPEG, PNG, WebP, BMP, TIFF
            or GIF.
        max_pixels: larger pictures are refused before they are decoded. Pillow's own limit
            counts for WebP and TIFF alone: none has more than twice `PIL.Image.MAX_IMAGE_PIXELS`.

    Raises:
        FileNotFoundError: if the path is missing.
        ImageError: if it is not such a picture, is damaged or too large.
        TypeError: if `source` is none of these.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, max_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities of metadata do not concern the pixels
        if isinstance(source, Image.Image):
            return _picture_to_rgb(source, max_pixels, "the image")
        if isinstance(source, str | os.PathLike):
            return _read_path(source, max_pixels)
        if isinstance(source, bytes):
            return _read_file(io.BytesIO(source), max_pixels, "the image")
        if callable(getattr(source, "read", None)):
            return _read_file(_seekable(source), max_pixels, "the image")
    raise TypeError(
        "an image is a path, an open binary file, bytes, a PIL image or an array, "
        f"got {type(source).__name__}"
    )


def read_orientation(path: Path) -> int:
    """How a camera held a picture: 1 for upright, up to 8, as EXIF counts; no pixel is decoded.

    Raises:
        ImageError: if it is not such a picture, or is damaged.
        OSError: if it cannot be opened.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # oddities of metadata
        reader = _plugin(file.read(16), path.name)
        file.seek(0)
        try:
            if reader is Image.OPEN["TIFF"][0]:  # of whose pixels Pillow does not know all kinds
                found = read_tiff_tags(path).get(ORIENTATION, 1)
            else:
                exif = Image.Exif()
                with reader(file, None) as picture:
                    exif.load(picture.info.get("exif", b""))
                found = exif.get(ORIENTATION, 1)
        except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
            raise ImageError(f"{path.name} is damaged: {error}") from error
    return found if found in range(1, 9) else 1


def _read_path(source: str | os.PathLike[str], max_pixels: int) -> np.ndarray:
    path = Path(source)
    if "\0" in str(path):
        raise ImageError(f"no path has a zero character, got {str(path)!r}")
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder, not an image")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no image at {path}") from error
    except OSError as error:
        raise ImageError(f"{path.name} cannot be opened: {error.strerror}") from error
    with file:
        return _read_file(file, max_pixels, path.name)


def _seekable(file: IO[bytes]) -> IO[bytes]:
    try:
        file.seek(0)
    except (AttributeError, OSError):  # a pipe, or a download
        content = file.read()
    else:
        return file
    if not isinstance(content, bytes):
        raise TypeError(f"an image's file must be open for bytes, it gave {type(content).__name__}")
    return io.BytesIO(content)


def _read_file(file: IO[bytes], max_pixels: int, name: str) -> np.ndarray:
    start = file.read(16)
    if not isinstance(start, bytes):
        raise TypeError(f"an image's file must be open for bytes, it gave {type(start).__name__}")
    try:
        file.seek(0)
        with _plugin(start, name)(file, None) as picture:
            return _picture_to_rgb(picture, max_pixels, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name} is larger than Pillow takes: {error}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ImageError(f"{name} is damaged: {error}") from error


def _plugin(start: bytes, name: str) -> Callable[..., Any]:
    """Pillow's reader for a file that begins so.

    `Image.open` would refuse what exceeds Pillow's limit, which is global to the process.
    """
    Image.init()
    for file_format in FORMATS:
        reader, accepts = Image.OPEN[file_format]
        if accepts is not None and accepts(start) is True:
            return reader
    raise ImageError(f"{name} is not a JPEG, PNG, WebP, BMP, TIFF or GIF picture")


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
    _check_values(array)
    color, alpha = array, None
    if count in (2, 4):
        color, alpha = array[..., :-1], array[..., -1:]
    color = _to_uint8(color)
    if alpha is not None:
        top = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
        opacity = np.clip(alpha / top, 0, 1)
        color = np.round(color * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(color, (*array.shape[:2], 3)))


def _check_values(array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf":
        raise ImageError(f"an image holds numbers, got {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ImageError("an image must be finite, got NaN or infinity")


def _to_uint8(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    values = array.astype(np.float64)
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)


def _check_pixels(height: int, width: int, max_pixels: int, name: str) -> None:
    if height < 1 or width < 1:
        raise ImageError(f"{name} is empty: {width} x {height} pixels")
    if height * width > max_pixels:
        raise TooManyPixelsError(
            f"{name} has {width} x {height} pixels, more than the {max_pixels} allowed"
        )
