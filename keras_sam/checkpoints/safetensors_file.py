"""`SafetensorsFile`: a safetensors file whose header is checked before anything is read."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_sam.checkpoints.checkpoint import CheckpointError

LARGEST_HEADER = 2**24  # bytes; a header of SAM takes less than 2**17
MOST_AXES = 8
TYPES = {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
INTEGERS = {"I64": np.dtype("<i8"), "I32": np.dtype("<i4")}  # of tensors that are left out


class SafetensorsFile:
    """Tensors of one file, each read when it is asked for.

    Args:
        file: in the format.
        source: what to call it in messages.
        unused: of all names those of tensors to leave out, which may be integers.

    Attributes:
        shapes: name to shape.
        unused_tensors: names that `unused` told.

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
        self._header, self._start = _read_header(file, source=source, unused=unused)
        self.unused_tensors = unused(self._header)
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(entry["shape"])
            for name, entry in self._header.items()
            if name not in self.unused_tensors
        }

    def read(self, name: str) -> np.ndarray:
        """One tensor as it is stored.

        Read, not mapped: pages of a mapped file would count beside the model that they fill.
        """
        entry, shape = self._header[name], self.shapes[name]
        offset, count = self._start + entry["data_offsets"][0], math.prod(shape)
        try:
            values = np.fromfile(self._file, TYPES[entry["dtype"]], count, offset=offset)
        except OSError as error:
            raise CheckpointError(
                f"{name} in {self._file.name} of '{self._source}' cannot be read: {error}"
            ) from error
        if values.size != count:
            raise CheckpointError(
                f"{name} in {self._file.name} of '{self._source}' is cut short: the file changed "
                "while it was read"
            )
        return values.reshape(shape)


def _read_header(
    file: Path, *, source: str, unused: Callable[[Iterable[str]], set[str]]
) -> tuple[dict[str, dict[str, Any]], int]:
    """Name to entry, and where in the file the tensors begin."""
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
    metadata = contents.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise CheckpointError(f"{where} has damaged metadata; expected texts by name")
    unused_tensors = unused(contents)
    spans = [
        _span(name, entry, where, TYPES | INTEGERS if name in unused_tensors else TYPES)
        for name, entry in contents.items()
    ]
    end = 0
    for first, last in sorted(spans):
        if first != end:
            raise CheckpointError(f"{where} has tensors that overlap or leave gaps")
        end = last
    if end != size - 8 - length:
        raise CheckpointError(
            f"{where} declares {end} bytes of tensors, but holds {size - 8 - length}"
        )
    return contents, 8 + length


def _span(name: str, entry: Any, where: str, types: dict[str, np.dtype]) -> tuple[int, int]:
    """First and last byte of a tensor, checked against its shape and type."""
    where = f"{name[:200]} in {where}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} has a damaged entry")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where} has a damaged shape or place")
    dtype = str(entry["dtype"])[:80]
    if dtype not in types:
        raise CheckpointError(f"{where} has the type {dtype!r}; expected one of {', '.join(types)}")
    declared = math.prod(shape) * types[dtype].itemsize
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
