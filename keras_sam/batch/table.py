"""The columns of a batch's table, and its rows.

One table contains a row per mask and a row per image. Separate files could not be renamed in one
step, so an image's masks might be lost although its status says that it is complete.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_sam.annotations.mask_record import MaskRecord
from keras_sam.batch.batch_image import path_to_text
from keras_sam.batch.image_result import ImageResult

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
MASK, IMAGE = "mask", "image"
OK, ERROR = "ok", "error"


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        name: Name of the column.
        type: Arrow type of the values.
        rows: Kind of rows that have a value: "mask", "image" or "both".
        description: Meaning of the values.
    """

    name: str
    type: str
    rows: str
    description: str


COLUMNS = (
    Column("kind", "string", "both", "`mask`, or `image` for the one status row of an image"),
    Column("image_id", "string", "both", "name of the image, unique among status rows"),
    Column("height", "int32", "both", "height of the image in pixels"),
    Column("width", "int32", "both", "width of the image in pixels"),
    Column("mask_index", "int32", "mask", "index, in the order of the generator or the prompts"),
    Column("prompt_index", "int32", "mask", "index of the prompt, null without prompts"),
    Column("counts", "string", "mask", "compressed COCO RLE of size [height, width]"),
    Column("area", "int64", "mask", "number of pixels in the mask"),
    Column("bbox", "list<double>", "mask", "x, y, width, height, measured as in Meta's records"),
    Column("predicted_iou", "double", "mask", "predicted IoU of the mask"),
    Column("stability_score", "double", "mask", "IoU of the mask cut at logits +- the offset"),
    Column("point_coords", "list<double>", "mask", "x, y of the prompt, or the center of its box"),
    Column("crop_box", "list<double>", "mask", "x, y, width, height of the crop"),
    Column("path", "string", "image", "path of the file"),
    Column("status", "string", "image", "`ok` or `error`"),
    Column("error_type", "string", "image", "class of the exception, such as `ImageError`"),
    Column("error", "string", "image", "message of the exception"),
    Column("num_masks", "int32", "image", "number of mask rows of the image"),
    Column("decode_seconds", "double", "image", "time to read the file into pixels"),
    Column(
        "encode_seconds", "double", "image", "time to resize and encode the image and its crops"
    ),
    Column("generate_seconds", "double", "image", "time from prompts to RLEs"),
    Column("finished_at", "timestamp", "image", "time of completion, UTC"),
    Column("preset", "string", "image", "preset, as requested"),
    Column("model_hash", "string", "image", "hash of the model's weights and config"),
    Column("keras_sam", "string", "image", "version of keras-sam"),
    Column("keras", "string", "image", "version of Keras"),
    Column("backend", "string", "image", "`jax`, `torch`, `tensorflow` or `openvino`"),
    Column("backend_version", "string", "image", "version of the backend"),
    Column("numpy", "string", "image", "version of NumPy"),
    Column("pillow", "string", "image", "version of Pillow"),
)
_METADATA = {"keras_sam.batch.schema": str(SCHEMA_VERSION)}


def table_schema() -> "pa.Schema":
    """Return the columns as an Arrow schema."""
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


def results_to_tables(results: Sequence[ImageResult]) -> tuple["pa.Table", "pa.Table"]:
    """Convert results to a table of mask rows and a table of status rows."""
    pa = require_pyarrow()
    schema = table_schema()
    masks = [row for result in results for row in _mask_rows(result)]
    statuses = [_status_row(result) for result in results]
    return (
        pa.Table.from_pylist(masks, schema=schema),
        pa.Table.from_pylist(statuses, schema=schema),
    )


def row_to_record(row: dict[str, Any]) -> MaskRecord:
    """Convert a mask row to a record of Meta's mask generator, with a compressed COCO RLE.

    Raises:
        ValueError: If it is a status row.
    """
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


def require_pyarrow() -> Any:
    """Import `pyarrow`.

    Raises:
        ImportError: If it is not installed. The message has the command to install it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            "the tables of keras_sam.batch need pyarrow; run: pip install 'keras-sam[batch]'"
        ) from error
    return pyarrow


def _mask_rows(result: ImageResult) -> Iterator[dict[str, Any]]:
    for index, mask in enumerate(result.masks):
        record = mask.record
        height, width = record["segmentation"]["size"]
        yield {
            "kind": MASK,
            "image_id": result.image_id,
            "height": height,
            "width": width,
            "mask_index": index,
            "prompt_index": mask.prompt_index,
            "counts": record["segmentation"]["counts"],
            "area": record["area"],
            "bbox": record["bbox"],
            "predicted_iou": _nan_to_none(record["predicted_iou"]),
            "stability_score": _nan_to_none(record["stability_score"]),
            "point_coords": record["point_coords"][0],
            "crop_box": record["crop_box"],
        }


def _status_row(result: ImageResult) -> dict[str, Any]:
    height, width = result.size or (None, None)
    error, seconds = result.error, result.seconds
    return {
        "kind": IMAGE,
        "image_id": result.image_id,
        "height": height,
        "width": width,
        "path": path_to_text(result.path),
        "status": ERROR if error else OK,
        "error_type": error.error_type if error else None,
        "error": error.message if error else None,
        "num_masks": len(result.masks),
        "decode_seconds": seconds.decode,
        "encode_seconds": seconds.encode,
        "generate_seconds": seconds.generate,
        "finished_at": result.finished_at,
        **dataclasses.asdict(result.provenance),
    }


def _nan_to_none(value: float) -> float | None:
    """Replace NaN, of a model with broken weights, by null."""
    return None if value != value else value
