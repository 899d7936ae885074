"""`BatchImage`: an image of a batch and its prompts."""

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BatchImage:
    """An image of a batch and its prompts.

    Prompts are checked when the image is processed. A wrong prompt is an error of its image and
    does not stop the run.

    Attributes:
        id: Name in the table, unique within a batch.
        path: Path of the file.
        points: Points `(P, N, 2)` (x, y) in pixels, as nested lists of any lengths or as JSON,
            with `None` for prompts without points.
        labels: Labels `(P, N)` in the same format: 1 foreground, 0 background. Defaults to 1.
        boxes: Boxes `(P, 4)` XYXY in pixels in the same format.
    """

    id: str
    path: str
    points: Any = None
    labels: Any = None
    boxes: Any = None


def path_to_text(path: str) -> str:
    """Convert a path to text that is valid Unicode. Other bytes become escape sequences."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
