"""`truncate`: a value from a file, shortened for an error message."""

import reprlib
from typing import Any

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = 80


def truncate(value: Any) -> str:
    """Return the `repr` of a value, cut to a few hundred characters at any length and depth."""
    return SHORT.repr(value)
