"""`finished_images`: which images a table has already."""

from pathlib import Path

from keras_sam.batch.part_writer import part_files
from keras_sam.batch.table import ERROR, IMAGE, MASK, require_pyarrow, sync_directory
from keras_sam.files.atomic_file import write_atomically


def finished_images(directory: Path) -> dict[str, bool]:
    """Ids of the images in finished parts, and whether each is an error.

    Reads the status rows alone.

    Raises:
        ValueError: if a part is damaged.
    """
    require_pyarrow()
    import pyarrow.parquet as pq

    found: dict[str, bool] = {}
    for path in part_files(directory):
        try:
            rows = pq.read_table(
                path, columns=["image_id", "status"], filters=[("kind", "=", IMAGE)]
            )
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged; without it, its images are done again: {error}"
            ) from error
        ids, statuses = rows["image_id"].to_pylist(), rows["status"].to_pylist()
        found |= {name: status == ERROR for name, status in zip(ids, statuses, strict=True)}
    return found


def drop_error_rows(directory: Path) -> None:
    """Takes the status rows of errors out of a table, so that these images are done again.

    Each part is replaced at once: a crash loses nothing but what is done again.
    """
    pa = require_pyarrow()
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
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, kept.schema, compression="zstd") as writer:
            for kind in (MASK, IMAGE):
                if (some := kept.filter(pc.equal(kept["kind"], kind))).num_rows:
                    writer.write_table(some)
        write_atomically(path, sink.getvalue().to_pybytes())
    sync_directory(directory)
