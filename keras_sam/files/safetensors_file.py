"""`save_safetensors`, `load_safetensors`: arrays with JSON metadata in one file."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from keras_sam.files.atomic_file import write_atomically

T = TypeVar("T")


def save_safetensors(
    path: str | Path,
    format_name: str,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
) -> None:
    """Write arrays and metadata. The file is replaced only when the new one is complete.

    Args:
        path: Path of the file.
        format_name: Identifier of the content, which `load_safetensors` checks.
        arrays: Arrays by name.
        metadata: JSON-compatible values by name.
    """
    header = {"format": format_name, "metadata": json.dumps(metadata)}
    # `np.ascontiguousarray` would add an axis to numbers.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write_atomically(path, save(contiguous, metadata=header))


def load_safetensors(
    path: str | Path,
    format_name: str,
    parse: Callable[[dict[str, np.ndarray], dict[str, Any]], T],
    *,
    required: Collection[str] = (),
    description: str,
) -> T:
    """Read what `save_safetensors` wrote.

    Args:
        path: Path of the file.
        format_name: Expected identifier of the content.
        parse: Function from arrays and metadata to the result. May raise `ValueError`, and
            `KeyError` or `TypeError` for malformed metadata.
        required: Names of arrays that must be present.
        description: Noun phrase for error messages, for example "an image embedding".

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is damaged or contains something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            names = list(file.keys())
            if header.get("format") != format_name or not set(required) <= set(names):
                raise ValueError(f"{path.name} is not {description}")
            arrays = {name: file.get_tensor(name) for name in names}
        metadata = json.loads(header["metadata"])
        if not isinstance(metadata, dict):
            raise TypeError(f"metadata must be an object, got {type(metadata).__name__}")
        return parse(arrays, metadata)
    except (SafetensorError, KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path.name} is damaged and cannot be read as {description}: {error}"
        ) from error
