"""`read_image`: an image from a file, from memory or from an array, as RGB pixels."""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageOps

from keras_sam.errors import ImageError, TooManyPixelsError
from keras_sam.images.tiff_tags import read_tiff_tags
from keras_sam.types import Size

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 200_000_000
ORIENTATION = 0x0112  # tag in EXIF and TIFF
Convert = Callable[[Image.Image, int, str], Any]  # image, maximum of pixels, name -> result


def read_image(
    source: str | Path | bytes | IO[bytes] | Image.Image | np.ndarray,
    *,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Read an image as RGB pixels.

    Transparent pixels are blended with white. A rotation in the metadata is applied. Of an
    animation, the first frame is read. Arrays and gray images of more than 8 bits, and floats,
    are scaled linearly from their minimum and maximum to 0..255, all channels together.

    Pillow reads only the high byte of 16-bit color images, and of 16-bit gray images with
    transparency. Pass such an image as an array to scale it.

    Args:
        source: Path, open binary file, content of a file, PIL image, or array. Files may be JPEG,
            PNG, WebP, BMP, TIFF or GIF. Arrays have shape `(H, W)`, or `(H, W, C)` with 1 to 4
            channels: gray, gray and alpha, RGB, RGBA.
        max_pixels: Maximum number of pixels, checked before the image is decoded. WebP and TIFF
            files may in addition have at most twice `PIL.Image.MAX_IMAGE_PIXELS`.

    Returns:
        Pixels `(H, W, 3)` uint8 RGB.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ImageError: If the source is not such an image, is damaged, or has no pixels.
            `TooManyPixelsError` if it has more than `max_pixels`.
        TypeError: If `source` has another type.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, max_pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, which do not affect the pixels
        if isinstance(source, Image.Image):
            return _pil_to_rgb(source, max_pixels, "the image")
        if isinstance(source, str | os.PathLike):
            return _read_path(source, max_pixels, _pil_to_rgb)
        if isinstance(source, bytes):
            return _read_file(io.BytesIO(source), max_pixels, "the image", _pil_to_rgb)
        if callable(getattr(source, "read", None)):
            return _read_file(_seekable(source), max_pixels, "the image", _pil_to_rgb)
    raise TypeError(
        "an image must be a path, an open binary file, bytes, a PIL image or an array, "
        f"got {type(source).__name__}"
    )


def read_size(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Size:
    """Read the `(height, width)` that `read_image` returns, without decoding the pixels.

    Args:
        path: Path of a file in one of `FORMATS`.
        max_pixels: Maximum number of pixels.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ImageError: If the file is not such an image, or is damaged.
            `TooManyPixelsError` if it has more than `max_pixels`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata
        size: Size = _read_path(path, max_pixels, _pil_to_size)
    return size


def read_orientation(path: Path) -> int:
    """Read the orientation of an image from its metadata, without decoding it.

    Args:
        path: Path of a file in one of `FORMATS`.

    Returns:
        Orientation from 1 to 8 as defined by EXIF. 1 is upright, and the default.

    Raises:
        ImageError: If the file is not such an image, or is damaged.
        OSError: If the file cannot be opened.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata
        decoder = _find_decoder(file.read(16), path.name)
        file.seek(0)
        try:
            if decoder is Image.OPEN["TIFF"][0]:  # Pillow cannot open TIFF files of all dtypes
                orientation = read_tiff_tags(path).get(ORIENTATION, 1)
            else:
                exif = Image.Exif()
                with decoder(file, None) as image:
                    exif.load(image.info.get("exif", b""))
                orientation = exif.get(ORIENTATION, 1)
        except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
            raise ImageError(f"{path.name} is damaged: {error}") from error
    return orientation if orientation in range(1, 9) else 1


def _read_path(source: str | os.PathLike[str], max_pixels: int, convert: Convert) -> Any:
    path = Path(source)
    if "\0" in str(path):
        raise ImageError(f"a path must not contain a null character, got {str(path)!r}")
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder, not an image")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no image at {path}") from error
    except OSError as error:
        raise ImageError(f"{path.name} cannot be opened: {error.strerror}") from error
    with file:
        return _read_file(file, max_pixels, path.name, convert)


def _seekable(file: IO[bytes]) -> IO[bytes]:
    """Return a file at its start. A pipe or a download is read into memory."""
    try:
        file.seek(0)
    except (AttributeError, OSError):
        content = file.read()
    else:
        return file
    _check_bytes(content)
    return io.BytesIO(content)


def _read_file(file: IO[bytes], max_pixels: int, name: str, convert: Convert) -> Any:
    start = file.read(16)
    _check_bytes(start)
    try:
        file.seek(0)
        with _find_decoder(start, name)(file, None) as image:
            return convert(image, max_pixels, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name} is larger than Pillow allows: {error}") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ImageError(f"{name} is damaged: {error}") from error


def _check_bytes(content: Any) -> None:
    if not isinstance(content, bytes):
        raise TypeError(
            f"an image file must be open in binary mode, reading returned {type(content).__name__}"
        )


def _find_decoder(start: bytes, name: str) -> Callable[..., Any]:
    """Return Pillow's decoder for a file, given its first bytes.

    `Image.open` is not used because its limit of pixels is global to the process.
    """
    Image.init()
    for file_format in FORMATS:
        decoder, accepts = Image.OPEN[file_format]
        if accepts is not None and accepts(start) is True:
            return decoder
    raise ImageError(f"{name} is not a JPEG, PNG, WebP, BMP, TIFF or GIF image")


def _pil_to_size(image: Image.Image, max_pixels: int, name: str) -> Size:
    _check_pixels(image.height, image.width, max_pixels, name)
    # The size of a TIFF file is already turned.
    is_turned = image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) in range(5, 9)
    return (image.width, image.height) if is_turned else (image.height, image.width)


def _pil_to_rgb(image: Image.Image, max_pixels: int, name: str) -> np.ndarray:
    _check_pixels(image.height, image.width, max_pixels, name)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _array_to_rgb(np.asarray(image), max_pixels)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _array_to_rgb(array: np.ndarray, max_pixels: int) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ImageError(
            f"an image must have shape (H, W) or (H, W, C) with 1 to 4 channels, got {array.shape}"
        )
    _check_pixels(array.shape[0], array.shape[1], max_pixels, "the image")
    if array.ndim == 2:
        array = array[..., None]
    _check_values(array)
    color, alpha = array, None
    if array.shape[2] in (2, 4):
        color, alpha = array[..., :-1], array[..., -1:]
    color = _to_uint8(color)
    if alpha is not None:
        opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
        opacity = np.clip(alpha / opaque, 0, 1)
        color = np.round(color * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(color, (*array.shape[:2], 3)))


def _check_values(array: np.ndarray) -> None:
    if array.dtype.kind not in "biuf":
        raise ImageError(f"an image must contain real numbers, got {array.dtype}")
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
        raise ImageError(f"{name} has no pixels: {width} x {height}")
    if height * width > max_pixels:
        raise TooManyPixelsError(
            f"{name} has {width} x {height} pixels, more than the {max_pixels} allowed"
        )
