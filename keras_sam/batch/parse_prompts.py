"""`parse_prompts`: the prompts of an image of a batch, from whatever they were read as."""

import json
from dataclasses import dataclass
from typing import Any

from keras_sam.batch.batch_image import BatchImage

FOREGROUND = 1


@dataclass(frozen=True)
class Prompts:
    """P prompts as `SAMPredictor.predict_many` takes them; a whole part may be None.

    Attributes:
        points: of each prompt `(N, 2)` or None.
        labels: of each prompt `(N,)` or None.
        boxes: of each prompt `(4,)` or None.
    """

    points: list[Any] | None
    labels: list[Any] | None
    boxes: list[Any] | None

    def __len__(self) -> int:
        return len(self.points if self.points is not None else self.boxes or ())

    def is_single_point(self, index: int) -> bool:
        """Whether a prompt is one point, which leaves open what is meant."""
        points = None if self.points is None else self.points[index]
        box = None if self.boxes is None else self.boxes[index]
        return box is None and points is not None and len(points) == 1

    def some(self, indices: list[int]) -> dict[str, Any]:
        """Some of the prompts, as arguments of `predict_many`."""
        parts = {"point_coords": self.points, "point_labels": self.labels, "boxes": self.boxes}
        return {
            name: None if part is None else [part[index] for index in indices]
            for name, part in parts.items()
        }


def parse_prompts(image: BatchImage) -> Prompts | None:
    """The prompts of an image, or None if it has none.

    What is in them is checked later, when the image's size is known.

    Raises:
        ValueError: for what is no list, lists of different lengths, and labels without points.
    """
    points, labels, boxes = (
        _list(name, getattr(image, name)) for name in ("points", "labels", "boxes")
    )
    if labels is not None and points is None:
        raise ValueError("labels came without points")
    if points is None and boxes is None:
        return None
    counts = {len(part) for part in (points, labels, boxes) if part is not None}
    if len(counts) > 1:
        raise ValueError("points, labels and boxes must have an entry for each prompt, or be null")
    if points is not None and labels is None:
        labels = [None if one is None else [FOREGROUND] * len(one) for one in points]
    return Prompts(points, labels, boxes)


def _list(name: str, value: Any) -> list[Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{name} must be JSON, such as [[[10, 20]]]: {error}") from error
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or value == [] or value == ():
        return None
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list with an entry for each prompt, got {value!r:.60}")
    entries = [one.tolist() if hasattr(one, "tolist") else one for one in value]
    for one in entries:
        if one is not None and not isinstance(one, list | tuple):
            raise ValueError(f"{name} of each prompt must be a list or null, got {one!r:.60}")
    return entries
