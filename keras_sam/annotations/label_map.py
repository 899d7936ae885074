"""Label maps: one whole number per pixel, 0 for the background."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.mask_record import MaskRecord, mask_to_record, record_to_runs
from keras_sam.files.atomic_file import write_atomically
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.types import Size, is_size

OVERLAP_PRIORITIES = ("small", "large", "first", "last")
MAX_PNG_LABEL = 2**16 - 1
GRAY_MODES = ("1", "L", "P", "I;16", "I;16B", "I;16L", "I")  # P: palette indices are the labels


def records_to_label_map(
    records: Sequence[Mapping[str, Any]], size: Size, *, overlap_priority: str = "small"
) -> np.ndarray:
    """Convert masks to one label map. The first record has label 1, the second 2, and so on.

    Args:
        records: Masks with their scores. The label of a fully hidden mask remains unused.
        size: `(height, width)` that all masks must have.
        overlap_priority: Mask that is visible where masks overlap: the `"small"` or the `"large"`
            one, or the `"first"` or the `"last"` record. Of masks with equal areas, the first is on
            top.

    Returns:
        Labels `(H, W)` int32.

    Raises:
        ValueError: If a mask has another size, or `overlap_priority` is unknown.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    labels = np.zeros(size, np.int32, order="F")  # column-major, like the runs
    masks = [record_to_runs(record, size) for record in records]
    for index in draw_order(masks, overlap_priority).tolist():
        mask = masks[index]
        x0, y0, x1, y1 = mask.box
        np.copyto(labels[y0:y1, x0:x1], index + 1, where=runs_to_mask(mask, mask.box))
    return np.ascontiguousarray(labels)


def draw_order(masks: Sequence[RunLengthMask], overlap_priority: str) -> np.ndarray:
    """Return the indices `(N,)` of masks in drawing order: the mask on top comes last.

    Args:
        masks: N masks of one image.
        overlap_priority: One of `OVERLAP_PRIORITIES`, as in `records_to_label_map`.

    Raises:
        ValueError: If `overlap_priority` is unknown.
    """
    if overlap_priority not in OVERLAP_PRIORITIES:
        raise ValueError(
            f"overlap_priority must be one of {', '.join(OVERLAP_PRIORITIES)}, "
            f"got {overlap_priority!r}"
        )
    if overlap_priority == "last":
        return np.arange(len(masks))
    first_on_top = np.arange(len(masks))[::-1]
    if overlap_priority == "first":
        return first_on_top
    areas = np.array([mask.area for mask in masks], np.int64)
    keys = -areas if overlap_priority == "small" else areas
    return first_on_top[np.argsort(keys[first_on_top], kind="stable")]


def label_map_to_records(labels: np.ndarray) -> list[MaskRecord]:
    """Convert a label map to one record per label other than 0, in ascending order.

    Args:
        labels: `(H, W)`, integer or boolean.

    Raises:
        ValueError: If the labels have another shape or dtype.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise ValueError(
            f"a label map must be whole numbers (H, W), got {labels.dtype} of shape {labels.shape}"
        )
    flat = labels.ravel()
    order = np.argsort(flat, kind="stable")
    values, firsts = np.unique(flat[order], return_index=True)
    records = []
    for value, pixels in zip(values, np.split(order, firsts[1:]), strict=True):
        if value != 0:
            mask = np.zeros(labels.shape, bool)
            mask.flat[pixels] = True
            records.append(mask_to_record(mask))
    return records


def write_label_map(labels: np.ndarray, path: str | Path) -> Path:
    """Write a label map as a gray PNG, or as a NumPy file if a label is above 65,535.

    A PNG has 8 bits per pixel, or 16 if a label is above 255.

    Args:
        labels: `(H, W)`, integer or boolean, at least 0.
        path: File to write. The suffix becomes `.npy` if a label is above 65,535.

    Returns:
        The path that was written.

    Raises:
        ValueError: If the labels have another shape or dtype, are empty, or are negative.
    """
    labels, path = np.asarray(labels), Path(path)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in "biu" or labels.min() < 0:
        raise ValueError(
            "a label map must be whole numbers (H, W) of at least 0, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    buffer = io.BytesIO()
    if path.suffix == ".npy" or labels.max() > MAX_PNG_LABEL:
        path = path.with_suffix(".npy")
        np.save(buffer, labels)
    else:
        dtype = np.uint8 if labels.max() < 256 else np.uint16
        Image.fromarray(labels.astype(dtype)).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    return path


def read_label_map(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read a label map from a PNG or TIFF with one channel, or from a `.npy` file.

    Three equal channels count as one.

    Args:
        path: File to read. In an image with a palette, the palette indices are the labels.
        max_pixels: Maximum number of pixels. Larger maps are rejected before decoding.

    Returns:
        Labels `(H, W)`, integer.

    Raises:
        FileNotFoundError: If the file is missing.
        TypeError: If `path` is not a path.
        ValueError: If the file is not a label map, is damaged or too large.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a Path, got {type(path).__name__}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no label map at {path}")
    labels = (_read_npy if path.suffix == ".npy" else _read_gray_image)(path, max_pixels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise ValueError(
            f"{path.name} is not a label map: "
            f"expected whole numbers (H, W), got {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def _read_npy(path: Path, max_pixels: int) -> np.ndarray:
    try:
        labels: np.ndarray = np.lib.format.open_memmap(path, mode="r")  # reads no pickle
    except (ValueError, OSError, EOFError, SyntaxError, OverflowError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if labels.size > max_pixels:
        raise ValueError(
            f"{path.name} has {labels.size} pixels, more than the {max_pixels} allowed"
        )
    return np.array(labels)


def _read_gray_image(path: Path, max_pixels: int) -> np.ndarray:
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as image:
            if image.mode not in (*GRAY_MODES, "RGB"):
                raise ValueError(f"expected one channel of whole numbers, got mode {image.mode}")
            if image.width * image.height > max_pixels:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels, "
                    f"more than the {max_pixels} allowed"
                )
            pixels = np.array(image)
            if pixels.ndim == 3 and (pixels != pixels[..., :1]).any():
                raise ValueError("expected one channel of whole numbers, got colors")
            return pixels if pixels.ndim == 2 else pixels[..., 0]
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ValueError(f"{path.name} is not a label map: {error}") from error
