"""`open_image_folder`: Hugging Face image folders with `metadata.jsonl` or `metadata.csv`."""

import csv
import io
import json
import reprlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keras_sam.annotations.coco import CocoAnnotation
from keras_sam.annotations.find_files import find_files
from keras_sam.annotations.labeled_dataset import LabeledImage, LabeledMask
from keras_sam.annotations.mask_folder import MASK_SUFFIXES, read_mask_files
from keras_sam.annotations.mask_record import DEFAULT_CATEGORY
from keras_sam.files.check_file_name import check_file_name
from keras_sam.images.read_image import read_size

IMAGE_COLUMNS = ("file_name", "image_file_name")
MASK_WORDS = ("mask", "label", "segmentation", "annotation")  # in the name of a column
CATEGORY_KEYS = ("category", "categories", "label", "labels")  # of objects, in this order
Row = dict[str, Any]


def open_image_folder(folder: Path, image_dir: Path | None = None) -> list[LabeledImage]:
    """Open a folder in the layout of the `imagefolder` builder of Hugging Face Datasets.

    Each `metadata.jsonl` or `metadata.csv` has a row per image, whose `file_name` is relative to
    the folder of the file. Masks are files, in a column such as `mask` or `mask_file_name`, or
    `objects` with `segmentation`, COCO RLEs or polygons, and `category`. A row without either is
    an image without masks. All columns are in `LabeledImage.metadata`.

    Args:
        folder: Folder of the data set.
        image_dir: Folder of the images. Defaults to the folder of each metadata file.

    Returns:
        All images, in the order of the files, or none if there are no such metadata.

    Raises:
        ValueError: If a metadata file is malformed, or a file name points outside its folder.
    """
    images = []
    for path in find_files(folder, (".jsonl", ".csv")):
        rows = _read_rows(path) if path.stem == "metadata" else []
        columns = [column for column in IMAGE_COLUMNS if rows and column in rows[0]]
        if not columns or not any(_mask_files(row) or "objects" in row for row in rows):
            continue
        for number, row in enumerate(rows, 1):
            try:
                images.append(_open_row(row, columns[0], path.parent, folder, image_dir))
            except ValueError as error:
                raise ValueError(f"row {number} of {path.name}: {error}") from error
    return images


def _read_rows(path: Path) -> list[Row]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if path.suffix == ".csv":
            rows: list[Any] = list(csv.DictReader(io.StringIO(text)))
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError, csv.Error) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"each line of {path.name} must be a JSON object")
    return rows


def _open_row(
    row: Row, column: str, row_dir: Path, folder: Path, image_dir: Path | None
) -> LabeledImage:
    path = (image_dir or row_dir) / check_file_name(row.get(column), key=column)
    mask_files = [row_dir / check_file_name(name, key="mask") for name in _mask_files(row)]
    labels = (
        partial(read_mask_files, mask_files)
        if mask_files or not row.get("objects")
        else partial(_read_objects, row["objects"], path)
    )
    return LabeledImage(path.relative_to(image_dir or folder).as_posix(), path, labels, row)


def _mask_files(row: Row) -> list[str]:
    """Return the file names of masks in a row."""
    names: list[Any] = []
    for column, value in row.items():
        if isinstance(column, str) and any(word in column.lower() for word in MASK_WORDS):
            names += value if isinstance(value, list) else [value]
    return [
        name for name in names if isinstance(name, str) and name.lower().endswith(MASK_SUFFIXES)
    ]


def _read_objects(objects: Any, path: Path) -> list[LabeledMask]:
    """Read the masks in a column `objects`: a dictionary of lists, or a list of dictionaries."""
    if isinstance(objects, dict) and isinstance(objects.get("segmentation"), list):
        columns = {key: value for key, value in objects.items() if isinstance(value, list)}
        count = len(columns["segmentation"])
        objects = [
            {key: value[index] for key, value in columns.items() if len(value) == count}
            for index in range(count)
        ]
    if not isinstance(objects, list) or not all(
        isinstance(entry, dict) and "segmentation" in entry for entry in objects
    ):
        raise ValueError(f"objects must have a segmentation each, got {reprlib.repr(objects)}")
    size = read_size(path)
    annotations = [
        CocoAnnotation(index, size, entry["segmentation"], _category(entry))
        for index, entry in enumerate(objects)
    ]
    return [LabeledMask(annotation.category, annotation.mask) for annotation in annotations]


def _category(entry: Row) -> str:
    values: Sequence[Any] = [entry[key] for key in CATEGORY_KEYS if key in entry]
    return str(values[0]) if values and isinstance(values[0], str | int) else DEFAULT_CATEGORY
