"""`read_transformers` and `write_transformers`: directories of `SamModel` and `SamHQModel`."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.sam import SAM, expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.inference_config_file import (
    check_inference_config,
    write_inference_config,
)
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    PresetFiles,
    find_weight_files,
    read_json,
    write_json,
)
from keras_sam.checkpoints.safetensors_file import SafetensorsFile, write_safetensors
from keras_sam.checkpoints.torch_layout import (
    TensorFile,
    open_torch_arrays,
    to_torch_layout,
    torch_shape,
)
from keras_sam.checkpoints.transformers.config import (
    build_transformers_config,
    parse_transformers_config,
)
from keras_sam.checkpoints.transformers.preprocessor_config import (
    PREPROCESSOR_CONFIG,
    build_preprocessor_config,
    parse_preprocessor_config,
)
from keras_sam.checkpoints.transformers.tensor_names import (
    POSITION_NAMES,
    POSITIONS,
    transformers_names,
)
from keras_sam.errors import CheckpointError
from keras_sam.files.atomic_directory import replace_directory
from keras_sam.transforms.preprocessing import Preprocessing

FILES = PresetFiles(
    weights="model.safetensors",
    index="model.safetensors.index.json",
    shard=re.compile(r"model-\d{5}-of-\d{5}\.safetensors"),
    processor=PREPROCESSOR_CONFIG,
)
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def is_transformers_model(path: Path, *, source: str) -> bool:
    """Return True for a directory whose `config.json` has a `model_type`.

    Raises:
        CheckpointError: If the `config.json` is damaged.
    """
    if not path.is_dir() or not (path / CONFIG).exists():
        return False
    config = read_json(path / CONFIG, source=source)
    if not isinstance(config, dict) or config.get("registered_name"):
        return False
    return bool(config.get("model_type"))


def read_transformers(
    directory: Path, *, load_weights: bool = True, source: str | None = None
) -> Checkpoint:
    """Read a directory of transformers with a model of SAM or SAM-HQ.

    transformers ties two positional matrices: the file may contain either or both. All layer
    norms of the mask decoder have Meta's epsilon of 1e-5, whatever the config contains.

    Args:
        directory: Directory with `config.json`, and `model.safetensors` or shards and their
            index.
        load_weights: If True, weights are loaded.
        source: Name of the preset, for error messages. Defaults to the directory.

    Raises:
        CheckpointError: If a file is missing or damaged, or the model is not supported. Pickled
            weights are never read.
    """
    source = str(directory) if source is None else source
    config = parse_transformers_config(read_json(directory / CONFIG, source=source), source=source)
    if not load_weights:
        return Checkpoint(SAM, config, source=source)
    files = _open_files(directory, source)
    tensors = transformers_names(config, source=source)
    _untie(tensors, files, source)
    arrays = open_torch_arrays(tensors, files, expected_shapes(SAM, config), source=source)
    return Checkpoint(SAM, config, arrays, source=source, tensor_names=tensors)


def write_transformers(directory: str | Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    """Write a directory of transformers: `SamModel` or `SamHQModel`, and its image processor.

    If transformers has no image processor for the model's inference config, the nearest one is
    written, and `inference_config.json` next to it. The directory appears complete or not at all.

    Args:
        directory: Path of a new or empty directory.
        checkpoint: Config and all weights of a `SAMBackbone`.
        dtype: Type of the weights in the file: "float32", "float16" or "bfloat16".

    Raises:
        CheckpointError: If the directory is not empty, or transformers cannot build the model.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CheckpointError(f"'{directory}' exists and is not empty; choose another directory")
    config = build_transformers_config(checkpoint)
    shapes = expected_shapes(SAM, checkpoint.config)
    names = transformers_names(checkpoint.config, source=checkpoint.source)
    weights = {tensor: name for name, tensor in names.items()}
    try:
        with replace_directory(directory) as fresh:
            write_json(fresh / CONFIG, config | {"torch_dtype": dtype})
            _write_inference_config(fresh, checkpoint)
            write_safetensors(
                fresh / FILES.weights,
                {tensor: torch_shape(name, shapes[name]) for tensor, name in weights.items()},
                lambda tensor: to_torch_layout(weights[tensor], checkpoint.arrays[weights[tensor]]),
                dtype=dtype,
                metadata={"format": "pt"},
            )
    except OSError as error:
        raise CheckpointError(f"cannot write '{directory}': {error}") from error


def parse_processor(contents: Any, checkpoint: Checkpoint) -> Preprocessing:
    """Return the preprocessing that the `preprocessor_config.json` of a checkpoint describes.

    Raises:
        CheckpointError: If the file is damaged or describes another pipeline.
    """
    size = checkpoint.config["prompt_encoder"]["config"]["input_image_size"]
    return parse_preprocessor_config(contents, image_size=size, source=checkpoint.source)


def _open_files(directory: Path, source: str) -> dict[str, TensorFile]:
    """Return the file of each tensor."""
    has_weights = any((directory / name).exists() for name in (FILES.weights, FILES.index))
    if not has_weights and any((directory / name).is_file() for name in PICKLES):
        raise CheckpointError(
            f"'{source}' has pickled weights only, which can run code and are not read; save the "
            "model again with transformers as safetensors"
        )
    files: dict[str, TensorFile] = {}
    for path in find_weight_files(directory, FILES, source=source):
        file = SafetensorsFile(path, source=source)
        for tensor in file.shapes:
            if tensor in files:
                raise CheckpointError(f"'{source}' contains the tensor {tensor[:200]} twice")
            files[tensor] = file
    return files


def _untie(tensors: dict[str, str], files: dict[str, TensorFile], source: str) -> None:
    """Choose the name of the positional matrix, and drop its second copy after comparing both."""
    present = [name for name in POSITION_NAMES if name in files]
    if present:
        tensors[POSITIONS] = present[0]
    if len(present) == 2:
        first, second = (files[name].read(name) for name in present)
        if not np.array_equal(first, second):
            raise CheckpointError(
                f"'{source}' has two different positional matrices; expected {present[0]} and "
                f"{present[1]} to be equal, as transformers ties them"
            )
        del files[present[1]]


def _write_inference_config(directory: Path, checkpoint: Checkpoint) -> None:
    config = check_inference_config(checkpoint.inference_config, source=checkpoint.source)
    prompts = checkpoint.config["prompt_encoder"]["config"]
    contents = build_preprocessor_config(
        config.preprocessing,
        image_size=prompts["input_image_size"],
        low_res_size=4 * prompts["image_embedding_size"][0],
        is_high_quality=checkpoint.config["mask_decoder"]["config"]["early_feature_dim"] > 0,
    )
    write_json(directory / PREPROCESSOR_CONFIG, contents)
    write_inference_config(directory, config, described=parse_processor(contents, checkpoint))
