"""`read_meta` and `write_meta`: single files that Meta's code, and code based on it, writes."""

from pathlib import Path

import numpy as np

from keras_sam.checkpoints.architectures.sam import SAM, expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.meta.config import check_derivable, parse_meta_config
from keras_sam.checkpoints.meta.tensor_names import ignored_tensors, meta_names
from keras_sam.checkpoints.meta.torch_file import TorchFile, write_torch_file
from keras_sam.checkpoints.safetensors_file import SafetensorsFile, write_safetensors
from keras_sam.checkpoints.torch_layout import open_torch_arrays, to_torch_layout, torch_shape
from keras_sam.errors import CheckpointError

TORCH_SUFFIXES = (".pth", ".pt")
SAFETENSORS_SUFFIX = ".safetensors"
SUFFIXES = (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX)


def is_meta_file(path: Path, *, source: str) -> bool:
    """Return True for a file whose name ends in `.pth`, `.pt` or `.safetensors`."""
    return not path.is_dir() and path.suffix in SUFFIXES


def read_meta(file: Path, *, load_weights: bool = True, source: str | None = None) -> Checkpoint:
    """Read a file with Meta's tensor names. The config is derived from the tensors' shapes.

    Files of some image encoders have tensors that the model does not use, such as a classifier.
    They are listed in `Checkpoint.unused_tensors`. Any other additional tensor is an error.

    Args:
        file: Path of a `.pth` or `.pt` file, which needs PyTorch, or of a `.safetensors` file.
        load_weights: If True, weights are loaded.
        source: Name of the preset, for error messages. Defaults to the file.

    Raises:
        CheckpointError: If the file is damaged or not a SAM model.
    """
    source = str(file) if source is None else source
    file_class = SafetensorsFile if file.suffix == SAFETENSORS_SUFFIX else TorchFile
    opened = file_class(file, source=source, ignored=ignored_tensors)
    unused = tuple(sorted(opened.unused_tensors))
    config = parse_meta_config(opened.shapes, source=source)
    if not load_weights:
        return Checkpoint(SAM, config, source=source, unused_tensors=unused)
    tensors = meta_names(config)
    files = dict.fromkeys(opened.shapes, opened)
    arrays = open_torch_arrays(tensors, files, expected_shapes(SAM, config), source=source)
    return Checkpoint(
        SAM, config, arrays, source=source, tensor_names=tensors, unused_tensors=unused
    )


def write_meta(file: str | Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    """Write a `.pth` file that Meta's code reads, or the same tensors as `.safetensors`.

    The file contains no config, so a model that the shapes of its tensors do not determine is
    refused. It contains no inference config either.

    Args:
        file: Path of a new file that ends in `.safetensors`, `.pth` or `.pt`. Files of PyTorch
            need PyTorch.
        checkpoint: Config and all weights of a `SAMBackbone`.
        dtype: Type of the weights in the file: "float32", "float16" or "bfloat16".

    Raises:
        CheckpointError: If the file exists, its name has another ending, or Meta's code has no
            such model.
    """
    file = Path(file)
    if file.suffix not in SUFFIXES:
        raise CheckpointError(f"'{file}' must end in {SAFETENSORS_SUFFIX} or {TORCH_SUFFIXES[0]}")
    if file.exists():
        raise CheckpointError(f"'{file}' exists; choose another name")
    if checkpoint.class_name != SAM:
        raise CheckpointError(
            f"Meta's code has no checkpoint of a {checkpoint.class_name} alone; expected a {SAM}"
        )
    shapes = expected_shapes(SAM, checkpoint.config)
    weights = {tensor: name for name, tensor in meta_names(checkpoint.config).items()}
    tensor_shapes = {tensor: torch_shape(name, shapes[name]) for tensor, name in weights.items()}
    check_derivable(checkpoint, tensor_shapes)

    def read(tensor: str) -> np.ndarray:
        return to_torch_layout(weights[tensor], checkpoint.arrays[weights[tensor]])

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == SAFETENSORS_SUFFIX:
            write_safetensors(file, tensor_shapes, read, dtype=dtype, metadata={"format": "pt"})
        else:
            write_torch_file(file, {tensor: read(tensor) for tensor in weights}, dtype=dtype)
    except OSError as error:
        raise CheckpointError(f"cannot write '{file}': {error}") from error
