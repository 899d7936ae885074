"""`ImageResult`: what came of an image of a batch."""

import dataclasses
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from keras_sam.batch.batch_image import BatchImage

LONGEST_MESSAGE = 500


@dataclass(frozen=True)
class ImageResult:
    """The masks of an image, or why there are none.

    Attributes:
        image_id: of the image.
        path: of its file.
        finished_at: when, in UTC.
        masks: records of Meta's keys with `segmentation` as a COCO RLE, and `prompt_index`.
        size: `(height, width)` in pixels, if it was decoded.
        error_type: class of the exception; empty if all went well.
        error: what it says.
        seconds: how long each step took: `decode`, `encode`, `generate`.
        facts: of the process that did it: `preset`, `revision`, and versions by column.
    """

    image_id: str
    path: str
    finished_at: datetime
    masks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    size: tuple[int, int] | None = None
    error_type: str = ""
    error: str = ""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    facts: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether the image has an error in place of masks."""
        return bool(self.error_type)

    @property
    def held_bytes(self) -> int:
        """About what its rows take."""
        return 500 + sum(100 + len(mask["segmentation"]["counts"]) for mask in self.masks)


def failed_result(
    image: BatchImage, error_type: str, error: str, *, facts: dict[str, str], **seconds: float
) -> ImageResult:
    """The result of an image that did not get as far as a model."""
    return ImageResult(
        image_id=image.id,
        path=path_to_text(image.path),
        finished_at=datetime.now(UTC),
        error_type=error_type,
        error=error,
        seconds=seconds,
        facts=facts,
    )


def path_to_text(name: str) -> str:
    """A file's name as text, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one_line(error: BaseException) -> str:
    """What an exception says, on one line and not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 3] + "..."
