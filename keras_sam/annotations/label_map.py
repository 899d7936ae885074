"""Label maps: one number for each pixel, 0 where there is no mask."""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.record import MaskRecord, mask_to_record, record_to_runs
from keras_sam.files.atomic_file import write_atomically
from keras_sam.images.read_image import MAX_PIXELS
from keras_sam.masks.run_length_mask import RunLengthMask, runs_to_mask
from keras_sam.types import is_size

ORDERS = ("small", "large", "first", "last")
MOST_LABELS_OF_PNG = 2**16 - 1
GRAY_MODES = ("1", "L", "P", "I;16", "I;16B", "I;16L", "I")  # P: the indices are the labels


def records_to_label_map(
    records: Sequence[Mapping[str, Any]], size: tuple[int, int], *, overlap_priority: str = "small"
) -> np.ndarray:
    """Masks as one map: the mask of the first record has the label 1, of the second 2, and so on.

    Args:
        records: masks with their scores; one that is hidden altogether leaves its label unused.
        size: `(height, width)`.
        overlap_priority: which of overlapping masks is seen: the `"small"` or the `"large"` one, or the
            `"first"` or `"last"` record. The first among equals.

    Returns:
        `(H, W)` int32.

    Raises:
        ValueError: if a mask has another size, or `overlap_priority` is something else.
    """
    if not is_size(size):
        raise ValueError(f"size must be (height, width) in whole pixels, got {size!r}")
    labels = np.zeros(size, np.int32, order="F")  # as the runs of an RLE are
    masks = [record_to_runs(record, size) for record in records]
    for index in draw_order(masks, overlap_priority).tolist():
        runs = masks[index]
        x0, y0, x1, y1 = runs.box
        np.copyto(labels[y0:y1, x0:x1], index + 1, where=runs_to_mask(runs, runs.box))
    return np.ascontiguousarray(labels)


def draw_order(masks: Sequence[RunLengthMask], overlap_priority: str) -> np.ndarray:
    """Indices of masks, the ones that are seen on top last.

    Raises:
        ValueError: if `overlap_priority` is none of `ORDERS`.
    """
    if overlap_priority not in ORDERS:
        raise ValueError(
            f"overlap_priority must be one of {', '.join(ORDERS)}, got {overlap_priority!r}"
        )
    ranks = np.arange(len(masks))[:: 1 if overlap_priority == "last" else -1]
    if overlap_priority in ("small", "large"):
        areas = np.array([runs.area for runs in masks], np.int64)
        ranks = ranks[
            np.argsort((-areas if overlap_priority == "small" else areas)[ranks], kind="stable")
        ]
    return ranks


def label_map_to_records(labels: np.ndarray) -> list[MaskRecord]:
    """The mask of each label of a map but 0, in ascending order.

    Args:
        labels: `(H, W)`, whole numbers.

    Raises:
        ValueError: if they are something else.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise ValueError(
            f"a label map holds whole numbers (H, W), got {labels.dtype} of shape {labels.shape}"
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
    """Writes a label map as a gray PNG of 8 bits, of 16 above 255, or as NumPy's `.npy`.

    Args:
        labels: `(H, W)`, whole numbers of at least 0.
        path: the file. Its ending becomes `.npy` where a label is above 65,535.

    Returns:
        The path of the file that was written.

    Raises:
        ValueError: if the labels are something else.
    """
    labels, path = np.asarray(labels), Path(path)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in "biu" or labels.min() < 0:
        raise ValueError(
            "a label map holds whole numbers (H, W) of at least 0, "
            f"got {labels.dtype} of shape {labels.shape}"
        )
    buffer = io.BytesIO()
    if path.suffix == ".npy" or labels.max() > MOST_LABELS_OF_PNG:
        path = path.with_suffix(".npy")
        np.save(buffer, labels)
    else:
        depth = np.uint8 if labels.max() < 256 else np.uint16
        Image.fromarray(labels.astype(depth)).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    return path


def read_label_map(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a label map: a PNG or TIFF of one channel, or `.npy`.

    Args:
        path: the file. Of pictures with a palette the indices are the labels.
        max_pixels: larger maps are refused before they are decoded.

    Returns:
        `(H, W)`, whole numbers.

    Raises:
        FileNotFoundError: if the file is missing.
        TypeError: if `path` is no path.
        ValueError: if it is not a label map, is damaged or too large.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a Path, got {type(path).__name__}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no label map at {path}")
    labels = (_read_npy if path.suffix == ".npy" else _read_picture)(path, max_pixels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise ValueError(
            f"{path.name} is not a label map: it holds {labels.dtype} of shape {labels.shape}"
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


def _read_picture(path: Path, max_pixels: int) -> np.ndarray:
    try:
        with Image.open(path, formats=("PNG", "TIFF")) as picture:
            if picture.mode not in GRAY_MODES:
                raise ValueError(
                    f"it has the mode {picture.mode}, not one channel of whole numbers"
                )
            if picture.width * picture.height > max_pixels:
                raise ValueError(
                    f"it has {picture.width} x {picture.height} pixels, "
                    f"more than the {max_pixels} allowed"
                )
            return np.array(picture)
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error and others
        raise ValueError(f"{path.name} is not a label map: {error}") from error
