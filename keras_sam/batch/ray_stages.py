"""Stages that run on the machines of a Ray cluster: decoding, the model, and writing.

Between the stages, each image is a row with one pickled value, so that pixels and prompts need no
Arrow types.
"""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import decode_image
from keras_sam.batch.staged_part import write_staged_part
from keras_sam.batch.table import require_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

COLUMN = "value"


def decode_images(rows: "pa.Table", *, max_pixels: int) -> "pa.Table":
    """Convert rows of `BatchImage` to rows of `DecodedImage`."""
    return to_rows([decode_image(image, max_pixels=max_pixels) for image in from_rows(rows)])


class RayProcessor:
    """An actor with a model: converts rows of `DecodedImage` to rows of `ImageResult`.

    Args:
        settings: Options of the batch.
    """

    def __init__(self, settings: BatchSettings) -> None:
        from keras_sam.batch.load_processors import load_processors

        (self._processor,) = load_processors(settings)

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        """Predict the masks of some images."""
        return to_rows([self._processor.process(decoded) for decoded in from_rows(rows)])


def write_results(rows: "pa.Table", *, staging: str) -> "pa.Table":
    """Write rows of `ImageResult` to a part, and return one row of `StagedPart`."""
    return to_rows([write_staged_part(Path(staging), from_rows(rows))])


def to_rows(values: list[Any]) -> "pa.Table":
    """Convert values to rows of a table."""
    pa = require_pyarrow()
    data = pa.array([pickle.dumps(value) for value in values], pa.large_binary())
    return pa.table({COLUMN: data})


def from_rows(rows: "pa.Table") -> list[Any]:
    """Convert rows of `to_rows` to their values."""
    return [pickle.loads(value) for value in rows[COLUMN].to_pylist()]
