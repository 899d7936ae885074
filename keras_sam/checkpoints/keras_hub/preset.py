"""`read_keras_hub` and `write_keras_hub`: preset directories that keras-hub loads too."""

import datetime
import importlib.metadata
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.architectures.sam import (
    SAM,
    count_parameters,
    expected_shapes,
    model_classes,
)
from keras_sam.checkpoints.check_arrays import check_finite, check_names
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.inference_config_file import (
    INFERENCE_CONFIG,
    check_inference_config,
    write_inference_config,
)
from keras_sam.checkpoints.keras_hub.config import (
    parse_keras_hub_config,
    registered_class,
    serialize_config,
    serialize_object,
)
from keras_sam.checkpoints.keras_hub.hdf5_weights import (
    SHARD,
    SHARD_INDEX,
    WEIGHTS,
    open_hdf5_weights,
    write_hdf5_weights,
    write_task_weights,
)
from keras_sam.checkpoints.keras_hub.image_converter import (
    IMAGE_CONVERTER,
    PREPROCESSOR,
    image_converter_config,
    parse_image_converter,
    preprocessor_config,
)
from keras_sam.checkpoints.keras_hub.weight_names import keras_hub_paths
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    PresetFiles,
    find_weight_files,
    read_json,
    write_json,
)
from keras_sam.errors import CheckpointError
from keras_sam.files.atomic_directory import replace_directory
from keras_sam.transforms.preprocessing import Preprocessing

FILES = PresetFiles(WEIGHTS, SHARD_INDEX, SHARD, IMAGE_CONVERTER)
METADATA = "metadata.json"
TASK = "task.json"
TASK_WEIGHTS = "task.weights.h5"
# Files that a preset consists of, and files that stay when it is saved again.
PRESET_FILES = (
    CONFIG,
    METADATA,
    TASK,
    PREPROCESSOR,
    IMAGE_CONVERTER,
    INFERENCE_CONFIG,
    WEIGHTS,
    TASK_WEIGHTS,
    SHARD_INDEX,
)
KEPT_FILES = ("README.md", "LICENSE", "LICENSE.md")
MAX_SHARD_SIZE = 10.0  # gigabytes, as in keras-hub


def is_keras_hub_preset(path: Path, *, source: str) -> bool:
    """Return True for a directory whose `config.json` has a `registered_name`.

    Raises:
        CheckpointError: If the `config.json` is damaged.
    """
    if not path.is_dir() or not (path / CONFIG).exists():
        return False
    config = read_json(path / CONFIG, source=source)
    return isinstance(config, dict) and bool(config.get("registered_name"))


def read_keras_hub(
    directory: Path, *, load_weights: bool = True, source: str | None = None
) -> Checkpoint:
    """Read a preset directory in the layout of keras-hub.

    Args:
        directory: Directory with `config.json`, and `model.weights.h5` or shards and their index.
        load_weights: If True, weights are loaded.
        source: Name of the preset, for error messages. Defaults to the directory.

    Raises:
        CheckpointError: If a file is missing or damaged, or the model is not supported.
    """
    source = str(directory) if source is None else source
    serialized = read_json(directory / CONFIG, source=source)
    class_name, config = parse_keras_hub_config(serialized, source=source)
    if not load_weights:
        return Checkpoint(class_name, config, source=source)
    paths = keras_hub_paths(class_name, config)
    arrays = open_hdf5_weights(
        find_weight_files(directory, FILES, source=source),
        paths=paths,
        shapes=expected_shapes(class_name, config),
        source=source,
    )
    return Checkpoint(class_name, config, arrays, source=source, tensor_names=paths)


def write_keras_hub(
    directory: str | Path,
    checkpoint: Checkpoint,
    *,
    task: bool,
    max_shard_size: float = MAX_SHARD_SIZE,
) -> None:
    """Write a preset directory, which keras-hub loads if it has such a model.

    The directory is written to a temporary path and renamed when it is complete. If anything
    fails, an old preset stays as it was.

    Args:
        directory: Path of the preset. An old preset is replaced, except for README and license.
        checkpoint: Config and all weights of a model.
        task: If True, the files of a `SAMImageSegmenter` are written too. keras-hub needs them to
            load a `SAMBackbone`.
        max_shard_size: Size in gigabytes (2**30 bytes) above which weights are split into shards.

    Raises:
        CheckpointError: If the directory contains anything but a preset, or the weights do not
            match the config or are not finite.
    """
    directory = Path(directory)
    class_name, source = checkpoint.class_name, checkpoint.source or str(directory)
    if task and class_name != SAM:
        raise CheckpointError(f"a {class_name} has no task; write it with task=False")
    config = parse_arguments(class_name, checkpoint.config, source=source)
    shapes = expected_shapes(class_name, config)
    check_names(shapes, checkpoint.arrays, source=source)
    kept = _check_replaceable(directory)
    arrays = _checked_arrays(checkpoint.arrays, shapes, source)
    paths = keras_hub_paths(class_name, config)
    try:
        with replace_directory(directory) as fresh:
            for file in kept:
                shutil.copy2(directory / file, fresh / file)
            _write_configs(fresh, checkpoint, config, task=task)
            max_bytes = int(max_shard_size * 2**30)
            write_hdf5_weights(fresh, arrays, paths, shapes=shapes, max_bytes=max_bytes)
            if task:
                write_task_weights(fresh / TASK_WEIGHTS, arrays, paths)
    except OSError as error:
        raise CheckpointError(f"cannot write the preset '{directory}': {error}") from error


def _checked_arrays(
    arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: str
) -> LazyArrays:
    """Return arrays that are converted and checked when they are used."""

    def read(name: str) -> np.ndarray:
        array = np.asarray(arrays[name])
        if array.shape != shapes[name]:
            raise CheckpointError(
                f"{name} of '{source}' has shape {array.shape}, expected {shapes[name]}"
            )
        return check_finite(array, name, source=source)

    return LazyArrays(shapes, read)


def _check_replaceable(directory: Path) -> list[str]:
    """Check that a directory is a preset, empty or missing. Return the names of kept files."""
    if not directory.exists():
        if directory.is_symlink():
            raise CheckpointError(f"'{directory}' is a broken link; remove it first")
        return []
    if not directory.is_dir() or directory.is_symlink():
        raise CheckpointError(f"'{directory}' exists and is not a directory; nothing was written")
    names = sorted(path.name for path in directory.iterdir())
    others = [name for name in names if not _is_preset_file(directory / name)]
    if others or (names and CONFIG not in names):
        raise _not_a_preset(directory, ", ".join(others or names)[:200])
    if names:
        _check_config(directory)
    return [name for name in names if name in KEPT_FILES]


def _is_preset_file(file: Path) -> bool:
    is_known = file.name in (*PRESET_FILES, *KEPT_FILES) or SHARD.fullmatch(file.name)
    return file.is_file() and bool(is_known)


def _check_config(directory: Path) -> None:
    """Check that a `config.json`, which is a common name, is that of a SAM model."""
    try:
        serialized = read_json(directory / CONFIG, source=str(directory))
        class_name = registered_class(serialized, source=str(directory))
    except CheckpointError as error:
        raise _not_a_preset(directory, str(error)) from error
    if class_name not in model_classes():
        raise _not_a_preset(directory, f"its {CONFIG} has the class {class_name[:80]}")


def _not_a_preset(directory: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"'{directory}' exists and is not a preset of SAM ({reason}); choose another directory or "
        "empty it"
    )


def _write_configs(
    directory: Path, checkpoint: Checkpoint, config: dict[str, Any], *, task: bool
) -> None:
    backbone = serialize_config(checkpoint.class_name, config)
    write_json(directory / CONFIG, backbone)
    metadata = {
        "keras_version": _version("keras"),
        "keras_sam_version": _version("keras-sam"),
        "parameter_count": count_parameters(checkpoint.class_name, config),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "tasks": ["ImageSegmenter"] if task else [],
    }
    write_json(directory / METADATA, metadata)
    source = checkpoint.source or str(directory)
    inference_config = check_inference_config(checkpoint.inference_config, source=source)
    described = Preprocessing()
    if task:
        converter = image_converter_config(config, inference_config.preprocessing)
        described = parse_image_converter(converter, source=source)
        _write_task(directory, backbone, converter, dtype=config["dtype"])
    write_inference_config(directory, inference_config, described=described)


def _write_task(
    directory: Path, backbone: dict[str, Any], converter: dict[str, Any], *, dtype: str
) -> None:
    preprocessor = preprocessor_config(converter, dtype=dtype)
    write_json(directory / IMAGE_CONVERTER, converter)
    write_json(directory / PREPROCESSOR, preprocessor)
    arguments = {"backbone": backbone, "preprocessor": preprocessor, "name": "sam_image_segmenter"}
    module = "keras_hub.src.models.sam.sam_image_segmenter"
    write_json(directory / TASK, serialize_object(module, "SAMImageSegmenter", arguments))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
