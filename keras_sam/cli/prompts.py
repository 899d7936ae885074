"""Prompts, as they are typed on the command line."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import typer


class Point(NamedTuple):
    """A click at `(x, y)` pixels; label 1 is on the object, 0 on what to leave out."""

    x: float
    y: float
    label: int

    @classmethod
    def parse(cls, text: str) -> "Point":
        """Reads `X,Y` or `X,Y,LABEL`."""
        numbers = _numbers(text)
        if len(numbers) not in (2, 3):
            raise typer.BadParameter(f"expected X,Y or X,Y,LABEL, got '{text}'")
        label = numbers[2] if len(numbers) == 3 else 1.0
        if label not in (0.0, 1.0):
            raise typer.BadParameter(f"a point's label is 1 (object) or 0 (not), got '{text}'")
        return cls(numbers[0], numbers[1], int(label))


class Box(NamedTuple):
    """A box from `(x0, y0)` to `(x1, y1)` pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def parse(cls, text: str) -> "Box":
        """Reads `X0,Y0,X1,Y1`."""
        numbers = _numbers(text)
        if len(numbers) != 4:
            raise typer.BadParameter(f"expected X0,Y0,X1,Y1, got '{text}'")
        return cls(*numbers)


def parse_points_per_side(text: str) -> int | str:
    """Reads the points along each side of a grid, or `auto`."""
    if text == "auto":
        return text
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"expected a number of points, or auto, got '{text}'")
    return int(text)


@dataclass(frozen=True)
class Prompt:
    """What says which one object is meant: points, a box, or both."""

    points: list[Point]
    box: Box | None = None

    def arrays(self) -> dict[str, Any]:
        """The prompt as arguments of `SAMPredictor.predict`; what is not given is left out."""
        import numpy as np

        arguments: dict[str, Any] = {}
        if self.points:
            arguments["point_coords"] = np.array([point[:2] for point in self.points], np.float32)
            arguments["point_labels"] = np.array([point.label for point in self.points], np.int32)
        if self.box is not None:
            arguments["box"] = np.array(self.box, np.float32)
        return arguments

    def record(self) -> dict[str, Any]:
        """The prompt as plain values, for a JSON file."""
        return {
            "points": [list(point) for point in self.points],
            "box": list(self.box) if self.box is not None else None,
        }


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"expected numbers with commas between, got '{text}'") from error
    if not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"expected finite numbers, got '{text}'")
    return numbers
