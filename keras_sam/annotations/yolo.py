"""`write_yolo`: labels for training YOLO segmentation models."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePath

from keras_sam.annotations.mask_record import (
    AnnotatedImage,
    record_categories,
    record_category,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygon import join_rings
from keras_sam.masks.run_length_mask import RunLengthMask
from keras_sam.types import Size


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


def _label_path(folder: Path, file_name: str) -> Path:
    name = PurePath(file_name)
    if name.is_absolute() or ".." in name.parts or not name.stem:
        raise ValueError(f"file_name must stay inside the image folder, got {file_name!r}")
    return folder / "labels" / name.with_suffix(".txt")


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
