"""The table of a batch: its columns, and parts of it as files.

One table holds both kinds of rows, because a file can be renamed at once and two cannot: an
image's masks and its status land together or not at all.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_sam.batch.image_result import ImageResult
from keras_sam.files.atomic_file import write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
MASK, IMAGE = "mask", "image"
OK, ERROR = "ok", "error"


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        name: its name.
        type: of its values, in the words of Arrow.
        rows: the kind of rows that have it: "mask", "image", or both.
        meaning: what it holds.
    """

    name: str
    type: str
    rows: str
    meaning: str


COLUMNS = (
    Column("kind", "string", "both", "`mask`, or `image` for the one status row of an image"),
    Column("image_id", "string", "both", "of the image; unique among status rows"),
    Column("height", "int32", "both", "of the image, in pixels"),
    Column("width", "int32", "both", "of the image, in pixels"),
    Column("mask_index", "int32", "mask", "from 0, in the order of the generator or the prompts"),
    Column("prompt_index", "int32", "mask", "of the image's prompts; null in everything mode"),
    Column("counts", "string", "mask", "compressed COCO RLE of size [height, width]"),
    Column("area", "int64", "mask", "in pixels"),
    Column("bbox", "list<double>", "mask", "x, y, width, height, counted as Meta's records do"),
    Column("predicted_iou", "double", "mask", "the estimate of its IoU"),
    Column("stability_score", "double", "mask", "IoU of the mask cut at logits +- the offset"),
    Column("point_coords", "list<double>", "mask", "x, y of the prompt; of a box its center"),
    Column("crop_box", "list<double>", "mask", "x, y, width, height that the model saw"),
    Column("path", "string", "image", "where the file was read"),
    Column("status", "string", "image", "`ok` or `error`"),
    Column("error_type", "string", "image", "class of the exception, such as `ImageError`"),
    Column("error", "string", "image", "what was wrong, in a sentence"),
    Column("num_masks", "int32", "image", "how many mask rows the image has"),
    Column("decode_seconds", "double", "image", "reading the file into pixels"),
    Column("encode_seconds", "double", "image", "resizing, and the image encoder, of all crops"),
    Column("generate_seconds", "double", "image", "the rest: prompts to masks and runs"),
    Column("finished_at", "timestamp", "image", "in UTC"),
    Column("preset", "string", "image", "as it was asked for"),
    Column("revision", "string", "image", "a hash of config, preprocessing and every weight"),
    Column("keras_sam", "string", "image", "version"),
    Column("keras", "string", "image", "version"),
    Column("backend", "string", "image", "jax, torch, tensorflow or openvino"),
    Column("backend_version", "string", "image", "version"),
    Column("numpy", "string", "image", "version"),
    Column("pillow", "string", "image", "version"),
)
_METADATA = {"keras_sam.batch.schema": str(SCHEMA_VERSION)}


def table_schema() -> "pa.Schema":
    """The columns for Arrow."""
    pa = require_pyarrow()
    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "list<double>": pa.list_(pa.float64()),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    fields = [pa.field(column.name, types[column.type]) for column in COLUMNS]
    return pa.schema(fields, metadata=_METADATA)


def write_part(path: Path, results: Iterable[ImageResult]) -> int:
    """Writes the rows of some images as one file, whole and on the disk when this returns.

    Masks and status rows are in row groups of their own, so that a reader of the one kind skips
    the other by its statistics.

    Returns:
        The file's bytes.
    """
    pa = require_pyarrow()
    import pyarrow.parquet as pq

    results = list(results)
    schema = table_schema()
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        masks = [row for result in results for row in _mask_rows(result)]
        if masks:
            writer.write_table(pa.Table.from_pylist(masks, schema=schema))
        statuses = [_status_row(result) for result in results]
        writer.write_table(pa.Table.from_pylist(statuses, schema=schema))
    data = sink.getvalue()
    write_atomically(path, data.to_pybytes())
    sync_directory(path.parent)
    return data.size


def row_to_record(row: dict[str, Any]) -> dict[str, Any]:
    """A mask row as a record of Meta's mask generator, its mask as a COCO RLE."""
    if row["kind"] != MASK:
        raise ValueError(f"expected a row of kind '{MASK}', got '{row['kind']}'")
    return {
        "segmentation": {"size": [row["height"], row["width"]], "counts": row["counts"]},
        "area": row["area"],
        "bbox": row["bbox"],
        "predicted_iou": row["predicted_iou"],
        "point_coords": [row["point_coords"]],
        "stability_score": row["stability_score"],
        "crop_box": row["crop_box"],
    }


def sync_directory(directory: Path) -> None:
    """Puts the names of a directory's files on the disk, where the system can."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_pyarrow() -> Any:
    """The module `pyarrow`, or an error that says how to get it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            "the tables of keras_sam.batch need pyarrow; run: pip install 'keras-sam[batch]'"
        ) from error
    return pyarrow


def _mask_rows(result: ImageResult) -> Iterator[dict[str, Any]]:
    for index, mask in enumerate(result.masks):
        height, width = mask["segmentation"]["size"]
        yield {
            "kind": MASK,
            "image_id": result.image_id,
            "height": height,
            "width": width,
            "mask_index": index,
            "prompt_index": mask.get("prompt_index"),
            "counts": mask["segmentation"]["counts"],
            "area": mask["area"],
            "bbox": mask["bbox"],
            "predicted_iou": mask["predicted_iou"],
            "stability_score": mask["stability_score"],
            "point_coords": mask["point_coords"][0],
            "crop_box": mask["crop_box"],
        }


def _status_row(result: ImageResult) -> dict[str, Any]:
    height, width = result.size or (None, None)
    return {
        "kind": IMAGE,
        "image_id": result.image_id,
        "height": height,
        "width": width,
        "path": result.path,
        "status": ERROR if result.is_error else OK,
        "error_type": result.error_type or None,
        "error": result.error or None,
        "num_masks": len(result.masks),
        "finished_at": result.finished_at,
        **{f"{name}_seconds": value for name, value in result.seconds.items()},
        **result.facts,
    }
