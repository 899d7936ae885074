"""`convert_checkpoint`: a SAM model from any format to any."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.meta.write_meta import write_meta
from keras_sam.checkpoints.preprocessing import parse_preprocessing
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.write_transformers import write_transformers
from keras_sam.checkpoints.write_safetensors import type_of

FORMATS = ("keras", "transformers", "meta")
DTYPES = ("float32", "float16", "bfloat16")
LARGEST = {"float16": 65504.0}  # beyond it, a number of a wider type becomes infinite


@dataclass(frozen=True)
class Conversion:
    """What was read and written.

    Attributes:
        source: what was read.
        source_format: "keras", "transformers" or "meta".
        destination: what was written.
        destination_format: likewise.
        class_name: of the model.
        tensors: their number.
        parameters: the number of values in them.
        source_dtypes: types of the tensors that were read, sorted.
        dtype: type of the tensors that were written.
        renamed: tensors whose name in the source is not the one used here.
        transposed: tensors whose axes were reordered when they were read.
        preprocessing: how images are prepared, as `parse_preprocessing` gives it. Meta's files
            do not hold it.
        unused_tensors: tensors of the source that its model does not use.
    """

    source: str
    source_format: str
    destination: str
    destination_format: str
    class_name: str
    tensors: int
    parameters: int
    source_dtypes: tuple[str, ...]
    dtype: str
    renamed: int
    transposed: int
    preprocessing: dict[str, Any]
    unused_tensors: int


def convert_checkpoint(
    source: str | Path,
    destination: str | Path,
    *,
    to: str,
    dtype: str | None = None,
    preprocessing: Any = None,
    fold_batch_norms: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Conversion:
    """Reads a SAM model in any format and writes it in another.

    Every tensor is read, checked and written by name; in float32 nothing is rounded.

    Args:
        source: what `read_checkpoint` takes.
        destination: a directory, or for "meta" a file, `.safetensors` or `.pth`.
        to: "keras", "transformers" or "meta".
        dtype: "float32", "float16" or "bfloat16"; the source's own where it has but one.
        preprocessing: as `read_checkpoint` takes it, for a source that does not tell.
        fold_batch_norms: whether to make the batch norms of the model part of its convolutions.
        progress: called with the number of tensors read, and of all.

    Raises:
        CheckpointError: if the source is damaged, or the format cannot hold it; nothing is
            written then.
    """
    if to not in FORMATS:
        raise CheckpointError(f"cannot convert to {to!r}; expected one of {', '.join(FORMATS)}")
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    checkpoint = _read(source, preprocessing=preprocessing, fold=fold_batch_norms)
    dtypes = stored_dtypes(checkpoint.arrays)
    if dtype is None:
        dtype = dtypes[0] if len(dtypes) == 1 and dtypes[0] in DTYPES else "float32"
    arrays = CastArrays(checkpoint.arrays, dtype, str(source), progress)
    cast = replace(checkpoint, arrays=arrays)
    if to == "keras":
        write_keras_hub(destination, cast, task=cast.class_name == "SAMBackbone")
    elif to == "transformers":
        write_transformers(destination, cast, dtype=dtype)
    else:
        write_meta(destination, cast, dtype=dtype)
    names = checkpoint.tensor_names
    return Conversion(
        source=str(source),
        source_format=checkpoint.format,
        destination=str(destination),
        destination_format=to,
        class_name=checkpoint.class_name,
        tensors=len(checkpoint.arrays),
        parameters=count_parameters(checkpoint.class_name, checkpoint.config),
        source_dtypes=dtypes,
        dtype=dtype,
        renamed=sum(name != stored for name, stored in names.items()),
        transposed=sum(_is_transposed(name, checkpoint) for name in names),
        preprocessing=parse_preprocessing(checkpoint.preprocessing, source=str(source)),
        unused_tensors=len(checkpoint.unused_tensors),
    )


def _read(source: str | Path, *, preprocessing: Any, fold: bool) -> Checkpoint:
    checkpoint = read_checkpoint(source, preprocessing=preprocessing)
    return fold_batch_norms(checkpoint) if fold else checkpoint


def stored_dtypes(arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The types of all arrays, sorted by name; reads each."""
    return tuple(sorted({str(array.dtype) for array in arrays.values()}))


class CastArrays(Mapping[str, np.ndarray]):
    """Arrays of one type, each cast when it is read."""

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        dtype: str,
        source: str,
        progress: Callable[[int, int], Any] | None = None,
    ) -> None:
        self._arrays = arrays
        self._dtype = dtype
        self._source = source
        self._progress = progress
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._arrays[name]
        limit = LARGEST.get(self._dtype)
        if limit is not None and array.size and np.abs(array).max() > limit:
            raise CheckpointError(
                f"{name} of '{self._source}' holds numbers beyond {limit}, which {self._dtype} "
                "cannot hold; use bfloat16"
            )
        if self._progress is not None:
            self._read.add(name)
            self._progress(len(self._read), len(self._arrays))
        return array.astype(type_of(self._dtype), copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def _is_transposed(name: str, checkpoint: Checkpoint) -> bool:
    if checkpoint.format == "keras":
        return False
    return name.endswith("/kernel")
