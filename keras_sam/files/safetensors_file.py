"""`save_safetensors`, `load_safetensors`: arrays and what is known of them, as one `.safetensors` file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_sam.files.atomic_file import write_atomically

T = TypeVar("T")


def save_safetensors(
    path: str | Path, format_name: str, arrays: dict[str, np.ndarray], facts: dict[str, Any]
) -> None:
    """Writes a file; an old one stays whole if that fails."""
    metadata = {"format": format_name, "facts": json.dumps(facts)}
    write_atomically(path, save(arrays, metadata=metadata))


def load_safetensors(
    path: str | Path,
    format_name: str,
    names: set[str],
    parse: Callable[[dict[str, np.ndarray], dict[str, Any]], T],
    *,
    optional: frozenset[str] = frozenset(),
    what: str,
) -> T:
    """What `parse` makes of the arrays and facts that `save_safetensors` wrote.

    Args:
        path: the file.
        format_name: as it was saved.
        names: of its arrays.
        optional: names of arrays that it may have besides.
        parse: raises a KeyError or a TypeError for facts that are not what they should be.
        what: the file holds, for errors; it begins with a vowel.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if it is damaged or something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no {what} at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != format_name or set(file.keys()) - optional != names:
                raise ValueError(f"{path.name} is not an {what}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return parse(arrays, json.loads(metadata["facts"]))
    except (SafetensorError, KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is a damaged {what}: {error}") from error
