"""`write_yolo`: labels for training YOLO to segment."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePath

from keras_sam.annotations.record import (
    AnnotatedImage,
    record_categories,
    record_category,
    record_to_runs,
)
from keras_sam.files.atomic_file import write_atomically
from keras_sam.masks.mask_to_polygons import runs_to_polygons
from keras_sam.masks.polygon import join_rings
from keras_sam.masks.run_length_mask import RunLengthMask


def write_yolo(
    images: Sequence[AnnotatedImage], folder: str | Path, *, tolerance: float = 0.0
) -> list[Path]:
    """Writes `labels/STEM.txt` for each image, and `data.yaml`, which names the categories.

    A line is a mask: the number of its category and its corners x, y as shares of the image's
    width and height. One line is one object to YOLO, so the parts and holes of a mask are tied
    together by bridges of no width. With six decimals that is exact up to 100,000 pixels a side.
    An empty mask has no outline and is left out; an image without masks has an empty file, which
    says that it shows nothing. Scores have no place in this format.

    Args:
        images: images with their records. Put the photographs into `images/` of the folder,
            under their `file_name`; folders in it are repeated below `labels/`.
        folder: made if it is missing.
        tolerance: pixels by which corners may be off; 0 is exact.

    Returns:
        The paths of the labels, one per image.

    Raises:
        ValueError: if a mask has another size than its image, a file name leads out of the
            folder, or two images would share a file of labels.
    """
    folder = Path(folder)
    paths = [_label_path(folder, image.file_name) for image in images]
    if len(set(paths)) < len(paths):
        raise ValueError("two images would share a file of labels: their names differ in ending")
    categories = record_categories(images)
    for image, path in zip(images, paths, strict=True):
        lines = [
            f"{categories.index(record_category(record))} {corners}\n"
            for record in image.records
            if (corners := _corners(record_to_runs(record, image.size), image.size, tolerance))
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(lines).encode())
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(categories))
    # Without `path`, Ultralytics looks for the images beside this file.
    content = f"train: images\nval: images\nnames:\n{names}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "data.yaml", content.encode())
    return paths


def _label_path(folder: Path, file_name: str) -> Path:
    name = PurePath(file_name)
    if name.is_absolute() or ".." in name.parts or not name.stem:
        raise ValueError(f"file_name must stay below the folder of images, got {file_name!r}")
    return folder / "labels" / name.with_suffix(".txt")


def _corners(runs: RunLengthMask, size: tuple[int, int], tolerance: float) -> str:
    polygons = runs_to_polygons(runs, tolerance=tolerance)
    if not polygons:
        return ""
    ring = join_rings([ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)])
    shares = ring / size[::-1]
    return " ".join(f"{share:.6f}".rstrip("0").rstrip(".") for share in shares.ravel().tolist())
