"""`read_inputs`: the images of a folder, a pattern, a list or a table."""

import csv
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.image_result import path_to_text
from keras_sam.batch.table import require_pyarrow

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
WILDCARDS = ("*", "?", "[")
PATH, ID = "path", "image_id"
PROMPTS = ("points", "labels", "boxes")


def read_inputs(
    source: str | Path | Iterable[str | Path | BatchImage], *, id_column: str | None = None
) -> list[BatchImage]:
    """The images that a source names, in a fixed order.

    Whether a file can be read as an image shows later, and is then that image's error.

    Args:
        source: one of

            - a directory, searched for names with the ending of an image; ids are paths below it;
            - a pattern with `*`, `**` or `?`; ids are paths below the part without wildcards;
            - a `.txt` with a path on each line; ids are the lines;
            - a `.csv` or `.parquet` with a column `path`, and perhaps `points`, `labels` and
              `boxes` as in `BatchImage` (in a CSV as JSON); ids are the column `image_id`, or
              the paths as they stand there. In files, relative paths are below the file's folder;
            - paths and `BatchImage`s.
        id_column: the column of the ids, in place of `image_id`.

    Raises:
        FileNotFoundError: if there is no such source.
        ValueError: if it names no image, names one id twice, or lacks a column.
    """
    images = list(_read(source, id_column))
    if not images:
        raise ValueError(f"there is no image in {source}")
    seen: set[str] = set()
    for image in images:
        if image.id in seen:
            raise ValueError(f"ids of images must be unique, got '{image.id}' twice")
        seen.add(image.id)
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
    elif any(sign in str(source) for sign in WILDCARDS):
        yield from _read_pattern(str(source))
    else:
        raise FileNotFoundError(f"there is no directory, file or pattern {source}")


def _read_directory(root: Path) -> Iterator[BatchImage]:
    """Whatever has the ending of an image, a pipe or a dead link included, in order of ids."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                path = Path(folder, name)
                yield _image(path.relative_to(root).as_posix(), str(path))


def _read_pattern(pattern: str) -> Iterator[BatchImage]:
    parts = Path(pattern).parts
    first = next(i for i, part in enumerate(parts) if any(sign in part for sign in WILDCARDS))
    root = Path(*parts[:first])
    for found in sorted(glob.iglob(pattern, recursive=True)):
        if not os.path.isdir(found):
            yield _image(Path(found).relative_to(root).as_posix(), found)


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
        raise ValueError(f"a list of images is a .txt, .csv or .parquet, got {path.name}")
    for number, row in enumerate(rows, 1):
        if not row.get(PATH):
            raise ValueError(f"row {number} of {path.name} has no path")
        name = row.get(id_column or ID)
        if id_column is not None and name in (None, ""):
            raise ValueError(f"row {number} of {path.name} has no {id_column}")
        prompts = {key: row.get(key) or None for key in PROMPTS}
        given = str(row[PATH])
        identity = given if name in (None, "") else str(name)
        yield _image(identity, str(path.parent / given), **prompts)


def _csv_rows(path: Path, id_column: str | None) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # prompts as JSON are longer than the default
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
        wanted = {PATH, id_column or ID, *PROMPTS}
        for batch in file.iter_batches(columns=[name for name in names if name in wanted]):
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path.name} is a damaged Parquet file: {error}") from error


def _check_columns(names: Iterable[str], path: Path, id_column: str | None) -> None:
    wanted = (PATH,) if id_column is None else (PATH, id_column)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f"{path.name} lacks the column {missing[0]}; it has {', '.join(names)}")


def _image(identity: str, path: str, **prompts: Any) -> BatchImage:
    return BatchImage(path_to_text(identity), path, **prompts)
