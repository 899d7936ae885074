"""`read_yolo` and `write_yolo`: labels for training YOLO segmentation models."""

import json
import reprlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from keras_sam.annotations.labeled_dataset import LabeledMask
from keras_sam.annotations.mask_record import (
    AnnotatedImage,
    record_categories,
    record_category,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.files.check_file_name import check_file_name
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygon import join_rings
from keras_sam.masks.polygons_to_mask import polygons_to_mask
from keras_sam.masks.run_length_mask import RunLengthMask
from keras_sam.types import Size

MAX_LABEL_BYTES = 64 * 2**20  # of a label file, tens of times the largest of COCO
MAX_YAML_BYTES = 2**20
MIN_VALUES = 7  # of a line: a class and three corners


def read_yolo(path: str | Path, size: Size, *, categories: Sequence[str] = ()) -> list[LabeledMask]:
    """Read the label file of one image. Masks are decoded on demand.

    Args:
        path: Text file with a line per mask: the index of its category, then its corners x, y as
            fractions of the image's width and height.
        size: `(height, width)` of the image.
        categories: Names of the categories, from `read_yolo_categories`. Defaults to the indices.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is too large, or a line is malformed. A box is not a mask.
    """
    lines = _read_text(Path(path), MAX_LABEL_BYTES).splitlines()
    labels = []
    for number, line in enumerate(lines, 1):
        values = line.split()
        if not values:
            continue
        try:
            index, corners = _parse_line(values)
        except ValueError as error:
            raise ValueError(f"line {number} of {Path(path).name}: {error}") from error
        category = categories[index] if index < len(categories) else str(index)
        labels.append(
            LabeledMask(category, partial(polygons_to_mask, [corners * size[::-1]], size))
        )
    return labels


def read_yolo_categories(path: str | Path) -> list[str]:
    """Read the names of the categories from `data.yaml`, or from a text file with a line for each.

    Args:
        path: File with the suffix `.yaml`, `.yml` or `.txt`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is malformed or too large.
    """
    path = Path(path)
    text = _read_text(path, MAX_YAML_BYTES)
    if path.suffix == ".txt":
        return [line.strip() for line in text.splitlines() if line.strip()]
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"{path.name} is not valid YAML: {error}") from error
    names = content.get("names", []) if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names.get(index) for index in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(name, str | int) for name in names):
        raise ValueError(
            f"names of {path.name} must be a list, or a dictionary with the keys 0, 1, ..., "
            f"got {reprlib.repr(names)}"
        )
    return [str(name) for name in names]


def write_yolo(
    images: Sequence[AnnotatedImage], folder: str | Path, *, polygon_tolerance: float = 0.0
) -> list[Path]:
    """Write `labels/STEM.txt` for each image, and `data.yaml` with the category names.

    Each line is one mask: the index of its category, then its corners x, y as fractions of the
    image's width and height. Zero-width bridges connect the parts and holes of a mask, because a
    line is one object in YOLO. Six decimals are exact for sides of up to 100,000 pixels.

    Empty masks are skipped. An image without masks gets an empty file, which makes it a background
    image in training. YOLO labels contain no scores.

    Args:
        images: Images with their records. Training expects the image files in `images/` of the
            folder, under their `file_name`. Subfolders are repeated below `labels/`.
        folder: Folder to write to, created if missing.
        polygon_tolerance: Maximum distance in pixels from a dropped corner to the simplified
            polygon. 0 is exact.

    Returns:
        The paths of the label files, one per image.

    Raises:
        ValueError: If a mask does not have its image's size, a file name points outside the
            folder, or two images would share a label file.
    """
    folder = Path(folder)
    paths = [_label_path(folder, image.file_name) for image in images]
    if len(set(paths)) < len(paths):
        raise ValueError(
            "two images would share a label file, because their names differ only in the suffix"
        )
    categories = record_categories(images)
    for image, path in zip(images, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _label_lines(image, categories, polygon_tolerance).encode())
    names = "".join(f"  {index}: {json.dumps(name)}\n" for index, name in enumerate(categories))
    # Without `path`, Ultralytics resolves `images` relative to this file.
    content = f"train: images\nval: images\nnames:\n{names}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "data.yaml", content.encode())
    return paths


def _read_text(path: Path, max_bytes: int) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file at {path}")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"{path.name} is larger than {max_bytes} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not a text file: {error}") from error


def _parse_line(values: list[str]) -> tuple[int, np.ndarray]:
    """Return the category's index, and the corners `(N, 2)` as fractions of the image."""
    if len(values) < MIN_VALUES or len(values) % 2 == 0:
        raise ValueError(
            "expected a class and at least three corners x y, "
            f"got {len(values)} values{' of a box' if len(values) == 5 else ''}"
        )
    try:
        index, corners = float(values[0]), np.array(values[1:], np.float64).reshape(-1, 2)
    except ValueError as error:
        raise ValueError(f"expected numbers: {error}") from error
    if index < 0 or not index.is_integer():
        raise ValueError(f"the class must be a whole number of at least 0, got {values[0][:20]}")
    if not ((corners >= -1) & (corners <= 2)).all():  # tools may round slightly past the border
        raise ValueError("corners must be fractions of the image in [0, 1]")
    return int(index), corners


def _label_path(folder: Path, file_name: str) -> Path:
    return folder / "labels" / Path(check_file_name(file_name)).with_suffix(".txt")


def _label_lines(image: AnnotatedImage, categories: list[str], tolerance: float) -> str:
    lines = []
    for record in image.records:
        corners = _corners(record_to_runs(record, image.size), image.size, tolerance)
        if corners:
            lines.append(f"{categories.index(record_category(record))} {corners}\n")
    return "".join(lines)


def _corners(runs: RunLengthMask, size: Size, tolerance: float) -> str:
    polygons = runs_to_polygons(runs, tolerance=tolerance)
    if not polygons:
        return ""
    ring = join_rings([ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)])
    fractions = (ring / size[::-1]).ravel().tolist()
    return " ".join(f"{fraction:.6f}".rstrip("0").rstrip(".") for fraction in fractions)
