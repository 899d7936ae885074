"""`convert_checkpoint`: a SAM model from any format to any other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms as fold
from keras_sam.checkpoints.inference_config_file import check_inference_config
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.registry import CHECKPOINT_FORMATS
from keras_sam.checkpoints.safetensors_file import numpy_dtype
from keras_sam.errors import CheckpointError
from keras_sam.transforms.inference_config import InferenceConfig

DTYPES = ("float32", "float16", "bfloat16")
MAX_VALUES = {"float16": 65504.0}  # larger values of other types become infinite


@dataclass(frozen=True)
class Conversion:
    """Report of a conversion.

    Attributes:
        source: Checkpoint that was read.
        source_format: Its format, a key of `CHECKPOINT_FORMATS`.
        destination: Path of the checkpoint that was written.
        destination_format: Its format.
        class_name: Class of the model.
        tensors: Number of tensors.
        parameters: Number of values in them.
        source_dtypes: Types of the tensors that were read, sorted.
        dtype: Type of the tensors that were written.
        renamed: Number of tensors whose name in the source is not the one in Keras.
        transposed: Number of tensors whose axes were reordered when they were read.
        inference_config: Inference settings of the model. Files of Meta do not contain them.
        unused_tensors: Number of tensors of the source that the model does not use.
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
    inference_config: InferenceConfig
    unused_tensors: int


def convert_checkpoint(
    source: str | Path,
    destination: str | Path,
    *,
    to: str,
    dtype: str | None = None,
    inference_config: Any = None,
    fold_batch_norms: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Conversion:
    """Read a SAM model in any format and write it in another one.

    Every tensor is read, checked and written by name. In float32, values are exactly preserved.

    Args:
        source: Preset that `read_checkpoint` accepts.
        destination: Path of a directory. For the format "meta", path of a `.safetensors` or
            `.pth` file.
        to: Format to write, a key of `CHECKPOINT_FORMATS`: "keras", "transformers" or "meta".
        dtype: Type to write: "float32", "float16" or "bfloat16". Defaults to the type of the
            source, or to float32 if the source has several.
        inference_config: Inference settings, as in `read_checkpoint`.
        fold_batch_norms: If True, batch norms are folded into the convolutions before them.
        progress: Function that is called with the number of tensors that were read, and the
            number of all tensors.

    Raises:
        CheckpointError: If the source is damaged, or the format cannot represent the model.
            Nothing is written then.
    """
    _check_arguments(to, dtype)
    checkpoint = read_checkpoint(source, inference_config=inference_config)
    if fold_batch_norms:
        checkpoint = fold(checkpoint)
    source_dtypes = list_dtypes(checkpoint.arrays)
    if dtype is None:
        is_known = len(source_dtypes) == 1 and source_dtypes[0] in DTYPES
        dtype = source_dtypes[0] if is_known else "float32"
    arrays = cast_arrays(checkpoint.arrays, dtype, source=str(source), progress=progress)
    write = CHECKPOINT_FORMATS[to].write
    write(Path(destination), replace(checkpoint, arrays=arrays), dtype=dtype)
    names = checkpoint.tensor_names
    return Conversion(
        source=str(source),
        source_format=checkpoint.format,
        destination=str(destination),
        destination_format=to,
        class_name=checkpoint.class_name,
        tensors=len(checkpoint.arrays),
        parameters=count_parameters(checkpoint.class_name, checkpoint.config),
        source_dtypes=source_dtypes,
        dtype=dtype,
        renamed=sum(name != stored for name, stored in names.items()),
        transposed=_count_transposed(checkpoint),
        inference_config=check_inference_config(checkpoint.inference_config, source=str(source)),
        unused_tensors=len(checkpoint.unused_tensors),
    )


def list_dtypes(arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return the names of the types of all arrays, sorted. Reads each array."""
    return tuple(sorted({str(array.dtype) for array in arrays.values()}))


def cast_arrays(
    arrays: Mapping[str, np.ndarray],
    dtype: str,
    *,
    source: str,
    progress: Callable[[int, int], Any] | None = None,
) -> LazyArrays:
    """Return arrays that are cast to one type when they are used.

    Args:
        arrays: Arrays by name.
        dtype: Type to cast to: "float32", "float16" or "bfloat16".
        source: Name of the preset, for error messages.
        progress: Function that is called with the number of arrays that were read, and the number
            of all arrays.

    Raises:
        CheckpointError: When an array is used that has values beyond the range of the type.
    """
    limit = MAX_VALUES.get(dtype)
    used: set[str] = set()

    def read(name: str) -> np.ndarray:
        array = arrays[name]
        if limit is not None and array.size and np.abs(array).max() > limit:
            raise CheckpointError(
                f"{name} of '{source}' has values beyond {limit}, the range of {dtype}; use "
                "bfloat16"
            )
        if progress is not None:
            used.add(name)
            progress(len(used), len(arrays))
        return array.astype(numpy_dtype(dtype), copy=False)

    return LazyArrays(arrays, read)


def _check_arguments(to: str, dtype: str | None) -> None:
    if to not in CHECKPOINT_FORMATS:
        raise CheckpointError(
            f"cannot convert to {to!r}; expected one of {', '.join(CHECKPOINT_FORMATS)}"
        )
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")


def _count_transposed(checkpoint: Checkpoint) -> int:
    if not CHECKPOINT_FORMATS[checkpoint.format].has_torch_layout:
        return 0
    return sum(name.endswith("/kernel") for name in checkpoint.tensor_names)
