"""`SafetensorsFile` and `write_safetensors`: safetensors files, one tensor in memory at a time."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_sam.errors import CheckpointError
from keras_sam.files.open_atomically import open_atomically

MAX_HEADER_BYTES = 2**24  # a header of SAM takes less than 2**17
MAX_AXES = 8
ALIGNMENT = 8  # bytes; readers map the tensors after the header into memory
# The format's names of the types that weights have.
FLOATS = {
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
INTEGERS = {"I64": np.dtype("<i8"), "I32": np.dtype("<i4")}  # only in tensors that are ignored
FORMAT_NAMES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}


class SafetensorsFile:
    """A safetensors file whose header is checked before any tensor is read.

    Args:
        file: Path of the file.
        source: Name of the preset, for error messages.
        ignored: Function from all tensor names to the names of tensors to ignore. Those may be
            integers.

    Attributes:
        shapes: Shape of each tensor by name, without ignored ones.
        unused_tensors: Names of the ignored tensors.

    Raises:
        CheckpointError: If the header is damaged, a type is not a float, or the tensors do not
            cover the file exactly.
    """

    def __init__(
        self,
        file: Path,
        *,
        source: str,
        ignored: Callable[[Iterable[str]], set[str]] = lambda names: set(),
    ) -> None:
        self._file = file
        self._source = source
        self._header, self._start, size = _read_header(file, source=source)
        self.unused_tensors = ignored(self._header)
        _check_layout(
            self._header,
            self.unused_tensors,
            size=size - self._start,
            where=f"{file.name} of '{source}'",
        )
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(entry["shape"])
            for name, entry in self._header.items()
            if name not in self.unused_tensors
        }

    def read(self, name: str) -> np.ndarray:
        """Return one tensor as it is stored.

        The tensor is read, not mapped: pages of a mapped file would take memory in addition to
        the model that is filled from them.

        Raises:
            CheckpointError: If the file cannot be read, or is shorter than it was.
        """
        entry, shape = self._header[name], self.shapes[name]
        where = f"{name} in {self._file.name} of '{self._source}'"
        offset, count = self._start + entry["data_offsets"][0], math.prod(shape)
        try:
            values = np.fromfile(self._file, FLOATS[entry["dtype"]], count, offset=offset)
        except OSError as error:
            raise CheckpointError(f"{where} cannot be read: {error}") from error
        if values.size != count:
            raise CheckpointError(f"{where} is truncated: the file changed while it was read")
        return values.reshape(shape)


def write_safetensors(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]],
    read: Callable[[str], np.ndarray],
    *,
    dtype: str,
    metadata: Mapping[str, str],
) -> None:
    """Write a safetensors file. It appears complete or not at all.

    Args:
        file: Path of the file. An old file is replaced.
        shapes: Shape of each tensor by name, in the order of the file.
        read: Function that returns the tensor of a name, of any float type.
        dtype: Type in the file: "float32", "float16" or "bfloat16".
        metadata: Texts for the header, by name.

    Raises:
        ValueError: If a tensor has another shape than `shapes` gives.
        OSError: If the file cannot be written.
    """
    kind = numpy_dtype(dtype)
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * kind.itemsize
        entry = {"dtype": FORMAT_NAMES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        header[name] = entry
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % ALIGNMENT)
    with open_atomically(file) as opened:
        opened.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, shape in shapes.items():
            tensor = read(name).astype(kind, copy=False)
            if tensor.shape != shape:
                raise ValueError(f"{name} has shape {tensor.shape}, expected {shape}")
            opened.write(tensor.tobytes())


def numpy_dtype(name: str) -> np.dtype:
    """Return the NumPy type of "float16", "bfloat16", "float32" or "float64"."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def _read_header(file: Path, *, source: str) -> tuple[dict[str, Any], int, int]:
    """Return the entry of each tensor by name, the start of the tensors, and the file size."""
    where = f"{file.name} of '{source}'"
    try:
        if file.exists() and not file.is_file():
            raise CheckpointError(f"{where} is not a regular file")
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
                raise CheckpointError(f"{where} is truncated or not a safetensors file")
            contents = json.loads(opened.read(length), object_pairs_hook=_without_duplicates)
    except FileNotFoundError as error:
        raise CheckpointError(f"'{source}' has no weights file {file.name}") from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{where} has a damaged header: {error}") from error
    if not isinstance(contents, dict):
        raise CheckpointError(f"{where} has a damaged header; expected a JSON object")
    metadata = contents.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise CheckpointError(f"{where} has damaged metadata; expected texts by name")
    return contents, 8 + length, size


def _check_layout(header: dict[str, Any], ignored: set[str], *, size: int, where: str) -> None:
    """Check that the tensors cover `size` bytes, without overlap and without gaps."""
    spans = [
        _parse_span(name, entry, where, FLOATS | INTEGERS if name in ignored else FLOATS)
        for name, entry in header.items()
    ]
    end = 0
    for first, last in sorted(spans):
        if first != end:
            raise CheckpointError(f"{where} has tensors that overlap or leave gaps")
        end = last
    if end != size:
        raise CheckpointError(f"{where} declares {end} bytes of tensors, but contains {size}")


def _parse_span(name: str, entry: Any, where: str, types: dict[str, np.dtype]) -> tuple[int, int]:
    """Return the first byte and the end of a tensor, checked against its shape and type."""
    where = f"{name[:200]} in {where}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"{where} has a damaged entry")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise CheckpointError(f"{where} has a damaged shape or offset")
    dtype = str(entry["dtype"])[:80]
    if dtype not in types:
        raise CheckpointError(f"{where} has the type {dtype!r}; expected one of {', '.join(types)}")
    declared = math.prod(shape) * types[dtype].itemsize
    if offsets[1] - offsets[0] != declared:
        raise CheckpointError(
            f"{where} declares {declared} bytes, but its offsets span {offsets[1] - offsets[0]}"
        )
    return offsets[0], offsets[1]


def _are_sizes(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= MAX_AXES
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    contents = dict(pairs)
    if len(contents) != len(pairs):
        raise ValueError("a name occurs twice")
    return contents
