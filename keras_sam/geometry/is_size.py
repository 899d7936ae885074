"""`is_size`: what may be the size of an image."""

from typing import Any

import numpy as np


def is_size(value: Any) -> bool:
    """Whether a value is a `(height, width)` in whole pixels, of at least 1."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(side, int | np.integer) and not isinstance(side, bool) for side in value)
        and min(value) >= 1
    )
