"""`parse_prompts`: the prompts of an image of a batch, from nested lists, arrays or JSON."""

import json
from dataclasses import dataclass
from typing import Any

from keras_sam.batch.batch_image import BatchImage
from keras_sam.point_labels import FOREGROUND


@dataclass(frozen=True)
class ImagePrompts:
    """P prompts of an image, in the format of `Predictor.predict_many`.

    Attributes:
        points: Points `(N, 2)` of each prompt, or `None`.
        labels: Labels `(N,)` of each prompt, or `None`.
        boxes: Box `(4,)` of each prompt, or `None`.
    """

    points: list[Any] | None
    labels: list[Any] | None
    boxes: list[Any] | None

    def __len__(self) -> int:
        return len(self.points if self.points is not None else self.boxes or ())

    def is_single_point(self, index: int) -> bool:
        """Return True if a prompt is one point without a box."""
        points = None if self.points is None else self.points[index]
        box = None if self.boxes is None else self.boxes[index]
        return box is None and points is not None and len(points) == 1

    def select(self, indices: list[int]) -> "ImagePrompts":
        """Return the prompts with these indices."""
        return ImagePrompts(
            *(
                None if part is None else [part[index] for index in indices]
                for part in (self.points, self.labels, self.boxes)
            )
        )


def parse_prompts(image: BatchImage) -> ImagePrompts | None:
    """Parse the prompts of an image. Their values are checked by the predictor.

    Args:
        image: Image with prompts as lists, arrays or JSON.

    Returns:
        Prompts, or `None` if the image has none.

    Raises:
        ValueError: If a part is not a list, parts have different lengths, or there are labels
            without points.
    """
    points, labels, boxes = (
        _parse_list(name, getattr(image, name)) for name in ("points", "labels", "boxes")
    )
    if labels is not None and points is None:
        raise ValueError("labels need points, got labels alone")
    if points is None and boxes is None:
        return None
    counts = {len(part) for part in (points, labels, boxes) if part is not None}
    if len(counts) > 1:
        raise ValueError(
            "points, labels and boxes must each have one entry per prompt, got lengths "
            f"{sorted(counts)}; use null for a prompt without such a part"
        )
    if points is not None and labels is None:
        labels = [None if prompt is None else [FOREGROUND] * len(prompt) for prompt in points]
    return ImagePrompts(points, labels, boxes)


def _parse_list(name: str, value: Any) -> list[Any] | None:
    """Return a list with one entry per prompt, each a list or `None`. `None` if it is empty."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{name} must be JSON such as [[[10, 20]]]: {error}") from error
    value = _to_plain(value)
    if value is None or value == [] or value == ():
        return None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list with one entry per prompt, got {value!r:.60}")
    entries = [_to_plain(entry) for entry in value]
    for entry in entries:
        if entry is not None and not isinstance(entry, list | tuple):
            raise ValueError(f"{name} of each prompt must be a list or null, got {entry!r:.60}")
    return entries


def _to_plain(value: Any) -> Any:
    """Convert an array to lists, and return anything else unchanged."""
    return value.tolist() if hasattr(value, "tolist") else value
