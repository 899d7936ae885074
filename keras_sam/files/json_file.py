"""`read_json`: a JSON file that may come from a stranger."""

import json
import math
import os
from pathlib import Path
from typing import Any


def read_json(path: str | Path, *, max_bytes: int | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: Path of the file.
        max_bytes: Maximum size of the file in bytes. Defaults to no limit.

    Returns:
        The content. All numbers are finite.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        OSError: If the file cannot be read.
        TypeError: If `path` is not a path.
        ValueError: If it is not a regular file, is too large, is not valid JSON, or contains a
            number that is not finite. The message is one sentence with the name of the file.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or a Path, got {type(path).__name__}")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file at {path}")
    if not path.is_file():
        raise ValueError(f"{path.name} is not a regular file")
    with path.open("rb") as file:
        content = file.read(-1 if max_bytes is None else max_bytes + 1)
    if max_bytes is not None and len(content) > max_bytes:
        raise ValueError(f"{path.name} is larger than {max_bytes} bytes")
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not valid JSON: {error}") from error


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"the number {number[:40]} is not finite")
    return value
