"""`read_transformers`: a SAM model of transformers."""

import re
from pathlib import Path

import numpy as np

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.preset_files import CONFIG, read_json, shards_of
from keras_sam.checkpoints.safetensors_file import SafetensorsFile
from keras_sam.checkpoints.torch_layout import TensorFile, open_torch_arrays
from keras_sam.checkpoints.transformers.config import parse_transformers_config
from keras_sam.checkpoints.transformers.tensor_names import (
    POSITION_NAMES,
    POSITIONS,
    transformers_name,
)

SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
SAFETENSORS_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def read_transformers(
    directory: Path, *, load_weights: bool = True, source: str | None = None
) -> Checkpoint:
    """Reads a directory of transformers whose `config.json` has the `model_type` "sam".

    The positional matrix, which transformers keeps in two places, may be in either. All layer
    norms of the mask decoder have Meta's epsilon of 1e-5, whatever the config says.

    Args:
        directory: with `config.json`, and `model.safetensors` or its shards and index.
        load_weights: whether to read weights.
        source: what to call it in messages; the directory if `None`.

    Raises:
        CheckpointError: if it is damaged or not supported. Pickles are never read.
    """
    source = str(directory) if source is None else source
    config = parse_transformers_config(read_json(directory / CONFIG, source=source), source=source)
    if not load_weights:
        return Checkpoint("SAMBackbone", config, source=source, format="transformers")
    files = [SafetensorsFile(file, source=source) for file in _weight_files(directory, source)]
    places: dict[str, TensorFile] = {}
    for file in files:
        for tensor in file.shapes:
            if tensor in places:
                raise CheckpointError(f"'{source}' holds the tensor {tensor[:200]} twice")
            places[tensor] = file
    depth = config["mask_decoder"]["config"]["iou_head_depth"]
    if depth < 2:
        raise CheckpointError(f"'{source}' has the iou_head_depth {depth}, expected 2 or more")
    shapes = expected_shapes("SAMBackbone", config)
    tensors = {name: transformers_name(name, iou_head_depth=depth) for name in shapes}
    _untie(tensors, places, source)
    arrays = open_torch_arrays(tensors, places, shapes, source=source)
    return Checkpoint("SAMBackbone", config, arrays, None, source, "transformers", tensors)


def _untie(tensors: dict[str, str], places: dict[str, TensorFile], source: str) -> None:
    """Takes the positional matrix from where it is, and drops its second copy."""
    found = [name for name in POSITION_NAMES if name in places]
    if found:
        tensors[POSITIONS] = found[0]
    if len(found) == 2:
        first, second = (places[name].read(name) for name in found)
        if not np.array_equal(first, second):
            raise CheckpointError(
                f"'{source}' has two different positional matrices; expected {found[0]} and "
                f"{found[1]} to be equal, as transformers ties them"
            )
        del places[found[1]]


def _weight_files(directory: Path, source: str) -> list[Path]:
    if (directory / SAFETENSORS).is_file():
        return [directory / SAFETENSORS]
    if not (directory / SAFETENSORS_INDEX).exists():
        if any((directory / name).is_file() for name in PICKLES):
            raise CheckpointError(
                f"'{source}' holds pickled weights only, which can run code and are not read; "
                "save the model again with transformers as safetensors"
            )
        raise CheckpointError(f"'{source}' has no {SAFETENSORS}")
    index = directory / SAFETENSORS_INDEX
    return [directory / name for name in shards_of(index, SAFETENSORS_SHARD, source=source)]
