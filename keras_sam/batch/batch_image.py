"""`BatchImage`: an image to be done, and what it is prompted with."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BatchImage:
    """An image of a batch.

    Prompts are kept as they were read: a wrong one is that image's error, and not the run's.

    Attributes:
        id: its name in the table, of which there is one.
        path: where the file is.
        points: `(P, N, 2)` pixels (x, y), nested lists of any lengths or such as JSON; None in
            place of a prompt that has no points.
        labels: `(P, N)` alike; without them all points are foreground.
        boxes: `(P, 4)` XYXY alike.
    """

    id: str
    path: str
    points: Any = None
    labels: Any = None
    boxes: Any = None
