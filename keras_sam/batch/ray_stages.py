"""What runs on the machines of a Ray cluster: decoding, the model, and writing.

Between the stages each image is a row with one pickled value, so that what Arrow makes of pixels
and prompts plays no part.
"""

import os
import pickle
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import decode_image
from keras_sam.batch.image_result import failed_result, one_line
from keras_sam.batch.staged_part import write_staged_part
from keras_sam.batch.table import require_pyarrow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

COLUMN = "value"


@dataclass(frozen=True)
class DecodedImage:
    """An image with its pixels, or with the reason why it has none.

    Attributes:
        image: its name and prompts.
        seconds: that decoding took.
        pixels: `(H, W, 3)` uint8.
        error_type: class of the exception.
        error: what it says.
    """

    image: BatchImage
    seconds: float = 0.0
    pixels: "np.ndarray | None" = None
    error_type: str = ""
    error: str = ""


def decode_images(rows: "pa.Table", *, max_pixels: int) -> "pa.Table":
    """Rows of `BatchImage` to rows of `DecodedImage`."""
    return to_rows([_decode(image, max_pixels) for image in from_rows(rows)])


class RayProcessor:
    """An actor with a model: rows of `DecodedImage` to rows of `ImageResult`.

    Args:
        settings: of the batch.
        environment: variables, set before Keras is imported.
    """

    def __init__(self, settings: BatchSettings, environment: Mapping[str, str]) -> None:
        if "keras" in sys.modules:
            raise RuntimeError("Keras was imported before its backend was chosen")
        os.environ.update(environment)
        from keras_sam.batch.load_processors import load_processors

        (self.masker,) = load_processors(settings)

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        """The results of some images, each with its masks or its error."""
        return to_rows([self._mask(decoded) for decoded in from_rows(rows)])

    def _mask(self, decoded: DecodedImage) -> Any:
        if decoded.pixels is None:
            return failed_result(
                decoded.image, decoded.error_type, decoded.error, facts=self.masker.facts
            )
        return self.masker.mask(decoded.image, decoded.pixels, decoded.seconds)


def write_results(rows: "pa.Table", *, staging: str) -> "pa.Table":
    """Rows of `ImageResult` to one row of `StagedPart`."""
    return to_rows([write_staged_part(Path(staging), from_rows(rows))])


def to_rows(values: list[Any]) -> "pa.Table":
    """Values as rows of a table."""
    pa = require_pyarrow()
    data = pa.array([pickle.dumps(value) for value in values], pa.large_binary())
    return pa.table({COLUMN: data})


def from_rows(rows: "pa.Table") -> list[Any]:
    """The values of `to_rows`."""
    return [pickle.loads(value) for value in rows[COLUMN].to_pylist()]


def _decode(image: BatchImage, max_pixels: int) -> DecodedImage:
    started = time.perf_counter()
    try:
        pixels = decode_image(image.path, max_pixels=max_pixels)
    except Exception as error:  # decoders raise whatever they like
        return DecodedImage(image, error_type=type(error).__name__, error=one_line(error))
    return DecodedImage(image, time.perf_counter() - started, pixels)
