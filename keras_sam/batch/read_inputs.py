"""`read_inputs`: the images of a folder, a glob pattern, a list or a table."""

import csv
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_sam.batch.batch_image import BatchImage, path_to_text
from keras_sam.batch.table import require_pyarrow

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
WILDCARDS = ("*", "?", "[")
PATH, ID = "path", "image_id"
PROMPTS = ("points", "labels", "boxes")


def read_inputs(
    source: str | Path | Iterable[str | Path | BatchImage], *, id_column: str | None = None
) -> list[BatchImage]:
    """List the images of a source in a fixed order. The files are not opened.

    Args:
        source: One of

            - a directory, searched recursively for image files. Ids are paths relative to it.
            - a pattern with `*`, `**` or `?`. Ids are paths relative to its part without
              wildcards.
            - a `.txt` file with a path per line. Ids are the lines.
            - a `.csv` or `.parquet` file with a column `path` and optional columns `points`,
              `labels` and `boxes`, see `BatchImage`. In a CSV they are JSON. Ids are the column
              `image_id`, or the paths.
            - paths and `BatchImage`s.

            Relative paths in a file are relative to its folder.
        id_column: Column of the ids, instead of `image_id`.

    Raises:
        FileNotFoundError: If the source does not exist.
        ValueError: If it has no images, two images have the same id, or a column is missing.
    """
    images = list(_read(source, id_column))
    if not images:
        raise ValueError(f"there are no images in {source}")
    ids: set[str] = set()
    for image in images:
        if image.id in ids:
            raise ValueError(f"image ids must be unique, got '{image.id}' twice")
        ids.add(image.id)
    return images


def _read(source: Any, id_column: str | None) -> Iterator[BatchImage]:
    if not isinstance(source, str | os.PathLike):
        yield from (
            item if isinstance(item, BatchImage) else _image(os.fspath(item), os.fspath(item))
            for item in source
        )
        return
    path = Path(source)
    if path.is_dir():
        yield from _read_directory(path)
    elif path.is_file():
        yield from _read_file(path, id_column)
    elif any(wildcard in str(source) for wildcard in WILDCARDS):
        yield from _read_pattern(str(source))
    else:
        raise FileNotFoundError(f"there is no directory, file or pattern {source}")


def _read_directory(root: Path) -> Iterator[BatchImage]:
    """Yield everything with an image suffix, even pipes and broken links, sorted by folder."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                path = Path(folder, name)
                yield _image(path.relative_to(root).as_posix(), str(path))


def _read_pattern(pattern: str) -> Iterator[BatchImage]:
    parts = Path(pattern).parts
    first = next(
        index for index, part in enumerate(parts) if any(wildcard in part for wildcard in WILDCARDS)
    )
    root = Path(*parts[:first])
    for path in sorted(glob.iglob(pattern, recursive=True)):
        if not os.path.isdir(path):
            yield _image(Path(path).relative_to(root).as_posix(), path)


def _read_file(path: Path, id_column: str | None) -> Iterator[BatchImage]:
    suffix = path.suffix.lower()
    if suffix == ".txt":
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows: Iterable[dict[str, Any]] = ({PATH: line} for line in lines if line.strip())
    elif suffix == ".csv":
        rows = _csv_rows(path, id_column)
    elif suffix in (".parquet", ".pq"):
        rows = _parquet_rows(path, id_column)
    elif suffix in IMAGE_SUFFIXES:
        rows = [{PATH: str(path.absolute()), ID: path.name}]
    else:
        raise ValueError(f"a list of images must be a .txt, .csv or .parquet, got {path.name}")
    for number, row in enumerate(rows, 1):
        yield _row_to_image(row, path, number, id_column)


def _row_to_image(
    row: dict[str, Any], file: Path, number: int, id_column: str | None
) -> BatchImage:
    path, image_id = row.get(PATH), row.get(id_column or ID)
    if not path:
        raise ValueError(f"row {number} of {file.name} has no path")
    if image_id in (None, ""):
        if id_column is not None:
            raise ValueError(f"row {number} of {file.name} has no {id_column}")
        image_id = path
    prompts = {name: row.get(name) or None for name in PROMPTS}
    return _image(str(image_id), str(file.parent / str(path)), **prompts)


def _csv_rows(path: Path, id_column: str | None) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # prompts as JSON may be longer than the default
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(reader.fieldnames or [], path, id_column)
        yield from reader


def _parquet_rows(path: Path, id_column: str | None) -> Iterator[dict[str, Any]]:
    pa = require_pyarrow()
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        _check_columns(names, path, id_column)
        known = {PATH, id_column or ID, *PROMPTS}
        for batch in file.iter_batches(columns=[name for name in names if name in known]):
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path.name} is a damaged Parquet file: {error}") from error


def _check_columns(names: Iterable[str], path: Path, id_column: str | None) -> None:
    required = (PATH,) if id_column is None else (PATH, id_column)
    for name in required:
        if name not in names:
            raise ValueError(f"{path.name} has no column {name}, only {', '.join(names)}")


def _image(image_id: str, path: str, **prompts: Any) -> BatchImage:
    return BatchImage(path_to_text(image_id), path, **prompts)
