"""`write_keras_hub`: a checkpoint as a preset directory of keras-hub."""

import datetime
import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from keras_sam.checkpoints.architectures.sam import count_parameters, expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.keras_hub.config import (
    MODELS,
    parse_arguments,
    registered_class,
    serialize_config,
    serialized_object,
)
from keras_sam.checkpoints.keras_hub.hdf5_weights import check_names, finite
from keras_sam.checkpoints.keras_hub.image_converter import (
    hub_preprocessor_config,
    image_converter_config,
)
from keras_sam.checkpoints.keras_hub.weight_names import MASK_DECODER, keras_hub_paths, task_path
from keras_sam.checkpoints.preprocessing import parse_preprocessing
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    IMAGE_CONVERTER,
    KEPT_FILES,
    METADATA,
    PREPROCESSING,
    PREPROCESSOR,
    SHARD_INDEX,
    TASK,
    TASK_WEIGHTS,
    THRESHOLDS,
    WEIGHTS,
    is_preset_file,
    read_json,
    shard_name,
)
from keras_sam.checkpoints.thresholds import SAM as SAM_THRESHOLDS
from keras_sam.checkpoints.thresholds import parse_thresholds
from keras_sam.files.atomic_directory import replace_directory

MAX_SHARD_SIZE = 10.0  # gigabytes, as in keras-hub


def write_keras_hub(
    directory: str | Path,
    checkpoint: Checkpoint,
    *,
    task: bool,
    max_shard_size: float = MAX_SHARD_SIZE,
) -> None:
    """Writes a preset that keras-hub loads too.

    The directory is written beside its place and renamed: whatever fails, an old preset there
    stays whole.

    Args:
        directory: path of the preset; an old preset there is replaced.
        checkpoint: a model's config and all its weights.
        task: whether to write the files of a `SAMImageSegmenter` too, without which keras-hub
            cannot load a `SAMBackbone`.
        max_shard_size: weights above this many gigabytes (2**30) are split into several files.

    Raises:
        CheckpointError: if the directory is something else than a preset, or the arrays are not
            those of the config or not finite.
    """
    directory = Path(directory)
    source = checkpoint.source or str(directory)
    if task and checkpoint.class_name != "SAMBackbone":
        raise CheckpointError(f"a {checkpoint.class_name} has no task; write it with task=False")
    config = parse_arguments(checkpoint.class_name, checkpoint.config, source=source)
    shapes = expected_shapes(checkpoint.class_name, config)
    check_names(shapes, checkpoint.arrays, source=source)
    kept = _check_replaceable(directory)
    arrays = _CheckedArrays(checkpoint.arrays, shapes, source)
    try:
        with replace_directory(directory) as fresh:
            for file in kept:
                shutil.copy2(directory / file, fresh / file)
            _write_configs(fresh, checkpoint, config, task=task)
            _write_weights(fresh, arrays, max_bytes=int(max_shard_size * 2**30))
            if task:
                _write_task_weights(fresh / TASK_WEIGHTS, arrays)
    except OSError as error:
        raise CheckpointError(f"cannot write the preset '{directory}': {error}") from error


class _CheckedArrays:
    """Arrays that are converted and checked when they are asked for, one at a time."""

    def __init__(
        self, arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: str
    ) -> None:
        self._arrays = arrays
        self._source = source
        self.shapes = shapes

    def __getitem__(self, name: str) -> np.ndarray:
        array = np.asarray(self._arrays[name])
        if array.shape != self.shapes[name]:
            raise CheckpointError(
                f"{name} of '{self._source}' has shape {array.shape}, expected {self.shapes[name]}"
            )
        return finite(array, name, source=self._source)


def _check_replaceable(directory: Path) -> list[str]:
    """The files of an old preset that are carried over; an error if it is not a preset."""
    if not directory.exists():
        if directory.is_symlink():
            raise CheckpointError(f"'{directory}' is a link to nowhere; remove it first")
        return []
    if not directory.is_dir() or directory.is_symlink():
        raise CheckpointError(f"'{directory}' exists and is not a directory; nothing was written")
    names = sorted(path.name for path in directory.iterdir())
    strange = [name for name in names if not _is_replaceable(directory / name)]
    if strange or (names and CONFIG not in names):
        raise _not_a_preset(directory, ", ".join(strange or names)[:200])
    if names:
        _check_is_ours(directory)
    return [name for name in names if name in KEPT_FILES]


def _is_replaceable(file: Path) -> bool:
    return file.is_file() and (file.name in KEPT_FILES or is_preset_file(file.name))


def _check_is_ours(directory: Path) -> None:
    """A config.json is a common name: this one must be of a model that we read."""
    try:
        serialized = read_json(directory / CONFIG, source=str(directory))
        class_name = registered_class(serialized, source=str(directory))
    except CheckpointError as error:
        raise _not_a_preset(directory, str(error)) from error
    if class_name not in MODELS:
        raise _not_a_preset(directory, f"its {CONFIG} is of the class {class_name[:80]}")


def _not_a_preset(directory: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"'{directory}' exists and is not a preset of SAM ({reason}); choose another directory or "
        "empty it"
    )


def _write_configs(
    directory: Path, checkpoint: Checkpoint, config: dict[str, Any], *, task: bool
) -> None:
    backbone = serialize_config(checkpoint.class_name, config)
    _write_json(directory / CONFIG, backbone)
    metadata = {
        "keras_version": _version("keras"),
        "keras_sam_version": _version("keras-sam"),
        "parameter_count": count_parameters(checkpoint.class_name, config),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "tasks": ["ImageSegmenter"] if task else [],
    }
    _write_json(directory / METADATA, metadata)
    preprocessing = parse_preprocessing(checkpoint.preprocessing, source=checkpoint.source)
    _write_json(directory / PREPROCESSING, preprocessing)
    thresholds = parse_thresholds(checkpoint.thresholds, source=checkpoint.source)
    if thresholds != SAM_THRESHOLDS:
        _write_json(directory / THRESHOLDS, thresholds)
    if not task:
        return
    converter = image_converter_config(config, preprocessing)
    preprocessor = hub_preprocessor_config(converter, dtype=config["dtype"])
    _write_json(directory / IMAGE_CONVERTER, converter)
    _write_json(directory / PREPROCESSOR, preprocessor)
    arguments = {"backbone": backbone, "preprocessor": preprocessor, "name": "sam_image_segmenter"}
    module = "keras_hub.src.models.sam.sam_image_segmenter"
    _write_json(directory / TASK, serialized_object(module, "SAMImageSegmenter", arguments))


def _write_weights(directory: Path, arrays: _CheckedArrays, *, max_bytes: int) -> None:
    paths = keras_hub_paths(arrays.shapes)
    sizes = {
        name: np.dtype(np.float32).itemsize * int(np.prod(shape))
        for name, shape in arrays.shapes.items()
    }
    if sum(sizes.values()) <= max_bytes:
        _write_file(directory / WEIGHTS, arrays, paths)
        return
    weight_map: dict[str, str | list[str]] = {}
    for index, names in enumerate(_shards(sizes, max_bytes)):
        file = shard_name(index)
        _write_file(directory / file, arrays, {name: paths[name] for name in names})
        for name in names:
            _add_to_map(weight_map, "/" + paths[name].rpartition("/")[0], file)
    contents = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
    _write_json(directory / SHARD_INDEX, contents)


def _shards(sizes: Mapping[str, int], max_bytes: int) -> list[list[str]]:
    """Names in groups whose sizes add up to `max_bytes` at most."""
    shards: list[list[str]] = [[]]
    total = 0
    for name, size in sizes.items():
        if size > max_bytes:
            raise CheckpointError(f"{name} takes {size} bytes, more than a shard's {max_bytes}")
        if total + size > max_bytes:
            shards.append([])
            total = 0
        shards[-1].append(name)
        total += size
    return shards


def _add_to_map(weight_map: dict[str, str | list[str]], group: str, file: str) -> None:
    """A group of variables may be split between two shards."""
    held = weight_map.get(group, file)
    files = held if isinstance(held, list) else [held]
    if file not in files:
        files = [*files, file]
    weight_map[group] = files[0] if len(files) == 1 else files


def _write_file(file: Path, arrays: _CheckedArrays, paths: Mapping[str, str]) -> None:
    with h5py.File(file, "w") as opened:
        for name, path in paths.items():
            array = arrays[name]
            dataset = opened.create_dataset(path, data=array)
            if array.dtype == ml_dtypes.bfloat16:
                dataset.attrs["dtype"] = "bfloat16"  # HDF5 itself has no such type


def _write_task_weights(file: Path, arrays: _CheckedArrays) -> None:
    decoder = [name for name in arrays.shapes if name.startswith(MASK_DECODER)]
    _write_file(file, arrays, {name: task_path(name) for name in decoder})
    with h5py.File(file, "a") as opened:
        # keras-hub compiles a task when it loads it, and warns if its optimizer has no state.
        opened["optimizer/vars/0"] = np.int32(0)  # steps
        opened["optimizer/vars/1"] = np.float32(5e-5)  # learning rate


def _write_json(file: Path, contents: Any) -> None:
    file.write_text(json.dumps(contents, indent=4), encoding="utf-8")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
