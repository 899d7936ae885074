"""The parts of a table: Parquet files in one folder, each written completely or not at all."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.table import ERROR, IMAGE, MASK, require_pyarrow, results_to_tables
from keras_sam.files.atomic_file import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY_FILE = re.compile(r"\.[0-9a-f]{16}\.part")  # see `write_atomically`


def part_files(directory: Path) -> list[Path]:
    """Return the paths of the parts of a table, sorted."""
    return sorted(directory.glob("part-*.parquet"))


def write_part(path: Path, results: Sequence[ImageResult]) -> None:
    """Write the rows of some images to one file, and flush it to the disk.

    Args:
        path: Path of the part. A reader finds no file until it is complete.
        results: Results to write.
    """
    _write_tables(path, results_to_tables(results))
    sync_directory(path.parent)


def finished_images(directory: Path) -> set[str]:
    """Return the ids of the images that have a status row. Mask rows are not read.

    Raises:
        ValueError: If a part is damaged.
    """
    require_pyarrow()
    import pyarrow.parquet as pq

    ids: set[str] = set()
    for path in part_files(directory):
        try:
            rows = pq.read_table(path, columns=["image_id"], filters=[("kind", "=", IMAGE)])
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged: {error}; delete it to process its images again"
            ) from error
        ids.update(rows["image_id"].to_pylist())
    return ids


def drop_error_rows(directory: Path) -> None:
    """Remove the status rows of errors from a table, so that their images are processed again.

    Parts are replaced one by one. After a crash, the remaining rows are still valid.
    """
    require_pyarrow()
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for path in part_files(directory):
        rows = pq.read_table(path, partitioning=None)
        is_error = pc.fill_null(pc.equal(rows["status"], ERROR), False)
        if not pc.any(is_error).as_py():
            continue
        kept = rows.filter(pc.invert(is_error))
        if not kept.num_rows:
            path.unlink()
            continue
        _write_tables(path, (kept.filter(pc.equal(kept["kind"], kind)) for kind in (MASK, IMAGE)))
    sync_directory(directory)


def remove_temporary_files(directory: Path) -> None:
    """Remove the incomplete files of a run that was killed."""
    for path in directory.iterdir():
        if TEMPORARY_FILE.fullmatch(path.name):
            path.unlink()


def sync_directory(directory: Path) -> None:
    """Flush the names of a directory's files to the disk, if the system supports it."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows cannot open directories
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_tables(path: Path, tables: Iterable["pa.Table"]) -> None:
    """Write tables as row groups of one file.

    Mask and status rows have row groups of their own: the statistics of a row group allow a
    reader of one kind to skip the other.
    """
    pa = require_pyarrow()
    import pyarrow.parquet as pq

    tables = list(tables)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, tables[0].schema, compression="zstd") as writer:
        for table in tables:
            if table.num_rows:
                writer.write_table(table)
    write_atomically(path, sink.getvalue().to_pybytes())
