"""`write_safetensors`: tensors to a safetensors file, one in memory at a time."""

import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

# The names of the format for the types that weights have.
TYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
ALIGNMENT = 8  # bytes; readers map the tensors behind the header into memory


def write_safetensors(
    file: Path,
    shapes: Mapping[str, tuple[int, ...]],
    read: Callable[[str], np.ndarray],
    *,
    dtype: str,
    metadata: Mapping[str, str],
) -> None:
    """Writes a file beside its place and renames it.

    Args:
        file: where it goes; an old file is replaced.
        shapes: name to shape, in the order of the file.
        read: gives a tensor by name, of any float type.
        dtype: "float32", "float16" or "bfloat16".
        metadata: free text for the header.
    """
    width = type_of(dtype).itemsize
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * width
        header[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % ALIGNMENT)
    part = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as opened:
            opened.write(len(encoded).to_bytes(8, "little") + encoded)
            for name, shape in shapes.items():
                tensor = np.ascontiguousarray(read(name).astype(type_of(dtype), copy=False))
                if tensor.shape != shape:
                    raise ValueError(f"{name} has shape {tensor.shape}, expected {shape}")
                opened.write(tensor.tobytes())
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def type_of(dtype: str) -> np.dtype:
    """The NumPy type of a name in `TYPES`."""
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
