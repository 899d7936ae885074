"""`open_hdf5_weights` and `write_hdf5_weights`: the HDF5 files of a preset, one or several."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np

from keras_sam.checkpoints.check_arrays import check_finite, check_names, check_shapes
from keras_sam.checkpoints.keras_hub.hdf5_storage import check_inflation, check_storage
from keras_sam.checkpoints.keras_hub.weight_names import task_path
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.checkpoints.preset_files import write_json
from keras_sam.errors import CheckpointError

WEIGHTS = "model.weights.h5"
SHARD_INDEX = "model.weights.json"
SHARD = re.compile(r"model_\d{5}\.weights\.h5")
MAX_GROUP_DEPTH = 32

Shape = tuple[int, ...]


def open_hdf5_weights(
    files: Sequence[Path],
    *,
    paths: Mapping[str, str],
    shapes: Mapping[str, Shape],
    source: str,
) -> LazyArrays:
    """Open the weights of a model after checking everything about them but their values.

    Args:
        files: Path of the file, or paths of the shards that contain the datasets together.
        paths: Path of each weight in the files.
        shapes: Shape of each weight.
        source: Name of the preset, for error messages.

    Returns:
        Arrays by the names of `paths`, each read and checked to be finite when it is used.

    Raises:
        CheckpointError: If a file is damaged, a weight is missing, unexpected or of another
            shape, a type is not a float, or a dataset declares what its file does not contain.
    """
    opened = [_open(file, source=source) for file in files]
    locations: dict[str, h5py.File] = {}
    stored_shapes: dict[str, Shape] = {}
    try:
        limit = 100 * len(paths) + 10_000
        contents = [dict(_walk(file, limit=limit, source=source)) for file in opened]
        for file, datasets in zip(opened, contents, strict=True):
            for path, dataset in datasets.items():
                if path in locations:
                    raise CheckpointError(f"'{source}' contains the weight {path} twice")
                locations[path], stored_shapes[path] = file, dataset.shape
        check_names(paths.values(), locations, source=source)
        expected = {paths[name]: shapes[name] for name in paths}
        check_shapes(expected, stored_shapes, source=source)
        for datasets in contents:
            check_storage(datasets, source=source)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        for file in opened:
            file.close()
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the weights of '{source}' are damaged: {error}") from error

    def read(name: str) -> np.ndarray:
        # HDF5 closes datasets with their file, so the files are referenced here.
        return _read(locations[paths[name]][paths[name]], name, source)

    return LazyArrays(paths, read)


def write_hdf5_weights(
    directory: Path,
    arrays: Mapping[str, np.ndarray],
    paths: Mapping[str, str],
    *,
    shapes: Mapping[str, Shape],
    max_bytes: int,
) -> None:
    """Write all weights to one file, or to shards and their index.

    Args:
        directory: Directory of the files.
        arrays: Array of each weight. One is in memory at a time.
        paths: Path of each weight in the file.
        shapes: Shape of each weight.
        max_bytes: Size in float32 above which the weights are split.

    Raises:
        CheckpointError: If a single weight is larger than a shard.
    """
    sizes = {name: 4 * math.prod(shapes[name]) for name in paths}
    if sum(sizes.values()) <= max_bytes:
        _write_file(directory / WEIGHTS, arrays, paths)
        return
    weight_map: dict[str, str | list[str]] = {}
    for index, names in enumerate(_split(sizes, max_bytes)):
        file = f"model_{index:05}.weights.h5"
        _write_file(directory / file, arrays, {name: paths[name] for name in names})
        for name in names:
            _add_to_map(weight_map, "/" + paths[name].rpartition("/")[0], file)
    contents = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
    write_json(directory / SHARD_INDEX, contents)


def write_task_weights(
    file: Path, arrays: Mapping[str, np.ndarray], paths: Mapping[str, str]
) -> None:
    """Write `task.weights.h5`: the mask decoder of a `SAMBackbone` a second time.

    Args:
        file: Path of the file.
        arrays: Array of each weight of the model.
        paths: Path of each weight in `model.weights.h5`.
    """
    decoder = {name: path for name, path in paths.items() if name.startswith("mask_decoder/")}
    _write_file(file, arrays, {name: task_path(path) for name, path in decoder.items()})
    with h5py.File(file, "a") as opened:
        # keras-hub compiles a task when it loads it, and warns if its optimizer has no state.
        opened["optimizer/vars/0"] = np.int32(0)  # steps
        opened["optimizer/vars/1"] = np.float32(5e-5)  # learning rate


def _write_file(file: Path, arrays: Mapping[str, np.ndarray], paths: Mapping[str, str]) -> None:
    with h5py.File(file, "w") as opened:
        for name, path in paths.items():
            array = arrays[name]
            dataset = opened.create_dataset(path, data=array)
            if array.dtype == ml_dtypes.bfloat16:
                dataset.attrs["dtype"] = "bfloat16"  # HDF5 has no such type


def _read(dataset: h5py.Dataset, name: str, source: str) -> np.ndarray:
    try:
        check_inflation(f"{name} of '{source}'", dataset)
        array = dataset[()]
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{name} of '{source}' is damaged: {error}") from error
    if array.dtype.kind == "V":
        array = array.view(ml_dtypes.bfloat16)
    return check_finite(array, name, source=source)


def _open(file: Path, *, source: str) -> h5py.File:
    try:
        if file.stat().st_size == 0 or not h5py.is_hdf5(file):
            raise CheckpointError(f"{file.name} of '{source}' is not an HDF5 file")
        return h5py.File(file, "r")
    except FileNotFoundError as error:
        raise CheckpointError(f"'{source}' has no weights file {file.name}") from error
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{file.name} of '{source}' is truncated or damaged: {error}"
        ) from error


def _walk(file: h5py.File, *, limit: int, source: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield all datasets with their paths. Follow hard links only, and each object once."""
    visited: set[int] = set()
    pending: list[tuple[str, h5py.Group]] = [("", file)]
    while pending:
        prefix, group = pending.pop()
        for key in group:
            path = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise CheckpointError(f"{path} of '{source}' is a soft or an external link")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in visited:
                raise CheckpointError(f"{path} of '{source}' is an object with two names")
            visited.add(address)
            if len(visited) > limit or path.count("/") > MAX_GROUP_DEPTH:
                raise CheckpointError(f"'{source}' contains far more than the model's weights")
            if isinstance(item, h5py.Dataset):
                yield path, item
            elif isinstance(item, h5py.Group):
                pending.append((f"{path}/", item))
            else:
                raise CheckpointError(f"{path} of '{source}' is neither a group nor an array")


def _split(sizes: Mapping[str, int], max_bytes: int) -> list[list[str]]:
    """Group names so that the sizes of a group add up to `max_bytes` at most."""
    shards: list[list[str]] = [[]]
    total = 0
    for name, size in sizes.items():
        if size > max_bytes:
            raise CheckpointError(
                f"{name} takes {size} bytes, more than the {max_bytes} of a shard"
            )
        if total + size > max_bytes:
            shards.append([])
            total = 0
        shards[-1].append(name)
        total += size
    return shards


def _add_to_map(weight_map: dict[str, str | list[str]], group: str, file: str) -> None:
    """Add a file to the entry of a group, whose variables may lie in two shards."""
    entry = weight_map.get(group, file)
    files = entry if isinstance(entry, list) else [entry]
    if file not in files:
        files = [*files, file]
    weight_map[group] = files[0] if len(files) == 1 else files
