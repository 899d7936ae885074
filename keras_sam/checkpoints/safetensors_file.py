"""`SafetensorsFile`: a safetensors file whose header is checked before anything is read."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from keras_sam.checkpoints.checkpoint import CheckpointError

LARGEST_HEADER = 2**24  # bytes; a header of SAM takes less than 2**17
MOST_AXES = 8
ITEM_SIZES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
INTEGER_SIZES = {"I64": 8, "I32": 4}  # of tensors that are left out


class SafetensorsFile:
    """Tensors of one file, each read when it is asked for.

    Args:
        file: in the format.
        source: what to call it in messages.
        unused: of all names those of tensors to leave out, which may be integers.

    Attributes:
        shapes: name to shape.
        left_out: names that `unused` told.

    Raises:
        CheckpointError: if the header is damaged, a type is not a float, or the offsets do not
            cover the file exactly.
    """

    def __init__(
        self,
        file: Path,
        *,
        source: str,
        unused: Callable[[Iterable[str]], set[str]] = lambda names: set(),
    ) -> None:
        self._file = file
        self._source = source
        header, self.left_out = _read_header(file, source=source, unused=unused)
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(entry["shape"])
            for name, entry in header.items()
            if name not in self.left_out
        }
        try:
            self._opened = safe_open(file, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file.name} of '{source}' is damaged: {error}") from error

    def read(self, name: str) -> np.ndarray:
        """One tensor as it is stored."""
        try:
            return self._opened.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{name} in {self._file.name} of '{self._source}' is damaged: {error}"
            ) from error


def _read_header(
    file: Path, *, source: str, unused: Callable[[Iterable[str]], set[str]]
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """The entry of each tensor, and the names of those to leave out."""
    where = f"{file.name} of '{source}'"
    try:
        if file.exists() and not file.is_file():
            raise CheckpointError(f"{where} is not a regular file")
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if size < 8 or length > min(LARGEST_HEADER, size - 8):
                raise CheckpointError(f"{where} is truncated or not a safetensors file")
            contents = json.loads(opened.read(length), object_pairs_hook=_without_duplicates)
    except FileNotFoundError as error:
        raise CheckpointError(f"'{source}' lacks its weights file {file.name}") from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{where} has a damaged header: {error}") from error
    if not isinstance(contents, dict):
        raise CheckpointError(f"{where} has a damaged header")
    contents.pop("__metadata__", None)
    left_out = unused(contents)
    sizes = {name: ITEM_SIZES | (INTEGER_SIZES if name in left_out else {}) for name in contents}
    spans = [_span(name, entry, where, sizes[name]) for name, entry in contents.items()]
    end = 0
    for first, last in sorted(spans):
        if first != end:
            raise CheckpointError(f"{where} has tensors that overlap or leave gaps")
        end = last
    if end != size - 8 - length:
        raise CheckpointError(
            f"{where} declares {end} bytes of tensors, but holds {size - 8 - length}"
        )
    return contents, left_out


def _span(name: str, entry: Any, where: str, sizes: dict[str, int]) -> tuple[int, int]:
    """First and last byte of a tensor, checked against its shape and type."""
    where = f"{name[:200]} in {where}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} has a damaged entry")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where} has a damaged shape or place")
    dtype = str(entry["dtype"])[:80]
    if dtype not in sizes:
        raise CheckpointError(f"{where} has the type {dtype!r}; expected one of {', '.join(sizes)}")
    declared = math.prod(shape) * sizes[dtype]
    if offsets[1] - offsets[0] != declared:
        raise CheckpointError(
            f"{where} declares {declared} bytes, but holds {offsets[1] - offsets[0]}"
        )
    return offsets[0], offsets[1]


def _are_sizes(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= MOST_AXES
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    contents = dict(pairs)
    if len(contents) != len(pairs):
        raise ValueError("a name occurs twice")
    return contents
