"""Parsers of prompts on the command line."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import typer


class BoxPrompt(NamedTuple):
    """A box from `(x0, y0)` to `(x1, y1)` in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float


class PointPrompt(NamedTuple):
    """A point `(x, y)` in pixels. The label is 1 on the object and 0 on the background."""

    x: float
    y: float
    label: int


@dataclass(frozen=True)
class ObjectPrompt:
    """The prompt of one object.

    Attributes:
        points: Points on the object and on the background.
        box: Box around the object, or `None`.
    """

    points: list[PointPrompt]
    box: BoxPrompt | None = None

    def to_arguments(self) -> dict[str, Any]:
        """Return the prompt as arguments of `SAMPredictor.predict`."""
        import numpy as np

        arguments: dict[str, Any] = {}
        if self.points:
            arguments["point_coords"] = np.array([point[:2] for point in self.points], np.float32)
            arguments["point_labels"] = np.array([point.label for point in self.points], np.int32)
        if self.box is not None:
            arguments["box"] = np.array(self.box, np.float32)
        return arguments

    def to_dict(self) -> dict[str, Any]:
        """Return the prompt as plain values, for JSON."""
        return {
            "points": [list(point) for point in self.points],
            "box": list(self.box) if self.box is not None else None,
        }


def parse_point(text: str) -> PointPrompt:
    """Parse `X,Y` or `X,Y,LABEL`."""
    numbers = _parse_numbers(text)
    if len(numbers) not in (2, 3):
        raise typer.BadParameter(f"expected X,Y or X,Y,LABEL, got '{text}'")
    label = numbers[2] if len(numbers) == 3 else 1.0
    if label not in (0.0, 1.0):
        raise typer.BadParameter(f"the label of a point must be 1 or 0, got '{text}'")
    return PointPrompt(numbers[0], numbers[1], int(label))


def parse_box(text: str) -> BoxPrompt:
    """Parse `X0,Y0,X1,Y1`."""
    numbers = _parse_numbers(text)
    if len(numbers) != 4:
        raise typer.BadParameter(f"expected X0,Y0,X1,Y1, got '{text}'")
    return BoxPrompt(*numbers)


def parse_points_per_side(text: str) -> int | str:
    """Parse the number of points along each side of the grid, or `auto`."""
    if text == "auto":
        return text
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"expected a number of points, or auto, got '{text}'")
    return int(text)


def _parse_numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"expected numbers separated by commas, got '{text}'") from error
    if not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"expected finite numbers, got '{text}'")
    return numbers
