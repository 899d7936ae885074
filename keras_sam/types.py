"""Types and predicates that all folders share."""

from typing import Any

import numpy as np

Size = tuple[int, int]
"""`(height, width)` in pixels."""

Box = tuple[int, int, int, int]
"""`(x0, y0, x1, y1)` in whole pixels; x1 and y1 are exclusive."""


def is_size(value: Any) -> bool:
    """Return True if a value is a `(height, width)` of whole numbers, each at least 1."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in value)
        and min(value) >= 1
    )
