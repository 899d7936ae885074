"""`read_checkpoint`: any preset to a config and arrays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.builtin_presets import builtin_preprocessing
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.keras_hub.hdf5_weights import HDF5Arrays, open_hdf5_weights
from keras_sam.checkpoints.keras_hub.weight_names import keras_hub_paths
from keras_sam.checkpoints.meta.read_meta import SUFFIXES, read_meta
from keras_sam.checkpoints.parse_config import is_transformers_config, parse_config
from keras_sam.checkpoints.preprocessing import parse_preprocessing
from keras_sam.checkpoints.preset_files import (
    CONFIG,
    SHARD,
    SHARD_INDEX,
    WEIGHTS,
    read_json,
    shards_of,
)
from keras_sam.checkpoints.read_preprocessing import read_preprocessing
from keras_sam.checkpoints.resolve_preset import resolve_preset
from keras_sam.checkpoints.thresholds import read_thresholds
from keras_sam.checkpoints.transformers.read_transformers import read_transformers


def read_checkpoint(
    preset: str | Path, *, load_weights: bool = True, preprocessing: Any = None
) -> Checkpoint:
    """Reads a SAM model in any format; which it is, is found by looking.

    Formats are presets of keras-hub and of this project, directories of transformers, and files
    with Meta's tensor names, `.pth` or `.safetensors`.

    Config, names, shapes, types and sizes are checked before an array takes memory; each array
    is read, and checked to be finite, when it is asked for.

    Args:
        preset: a built-in name, `kaggle://...`, `hf://...`, a directory, or a file.
        load_weights: whether to read weights; without them a built-in preset needs no network.
        preprocessing: what `parse_preprocessing` takes, in place of what the files tell; `None`
            for what is known of a built-in preset, or else the files tell.

    Raises:
        CheckpointError: if there is no such preset, or it is damaged or not supported.
    """
    told = builtin_preprocessing(preset) if preprocessing is None else preprocessing
    if told is not None:
        told = parse_preprocessing(told, source=str(preset))
    place = resolve_preset(preset, load_weights=load_weights)
    checkpoint = _read_place(place, load_weights=load_weights, source=str(preset))
    if told is None:
        told = read_preprocessing(place, checkpoint, source=str(preset))
    thresholds = read_thresholds(place, source=str(preset))
    return replace(checkpoint, preprocessing=told, thresholds=thresholds)


def _read_place(directory: Path, *, load_weights: bool, source: str) -> Checkpoint:
    if not directory.is_dir():
        return read_meta(directory, load_weights=load_weights, source=source)
    if not (directory / CONFIG).exists():
        raise _without_config(directory, source)
    config = read_json(directory / CONFIG, source=source)
    if is_transformers_config(config):
        return read_transformers(directory, load_weights=load_weights, source=source)
    return read_keras_hub(directory, load_weights=load_weights, config=config, source=source)


def read_keras_hub(directory: Path, *, load_weights: bool, config: Any, source: str) -> Checkpoint:
    """Reads a preset directory in keras-hub's layout whose `config.json` is given."""
    class_name, arguments = parse_config(config, source=source)
    arrays: HDF5Arrays | dict[str, Any] = {}
    paths: dict[str, str] = {}
    if load_weights:
        shapes = expected_shapes(class_name, arguments)
        paths = keras_hub_paths(shapes)
        arrays = open_hdf5_weights(
            weight_files(directory, source=source), paths=paths, shapes=shapes, source=source
        )
    return Checkpoint(class_name, arguments, arrays, None, source, "keras", paths)


def _without_config(directory: Path, source: str) -> CheckpointError:
    files = sorted(path.name for path in directory.iterdir() if path.suffix in SUFFIXES)
    if files:
        return CheckpointError(
            f"'{source}' has no {CONFIG}; to read a file of Meta's in it, name it: "
            + ", ".join(str(directory / name) for name in files[:8])
        )
    return CheckpointError(f"'{source}' has no {CONFIG} and no file of weights; it is no preset")


def weight_files(directory: Path, *, source: str) -> list[Path]:
    """The single file of weights, or else the shards that the index names."""
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if not (directory / SHARD_INDEX).exists():
        raise CheckpointError(f"'{source}' has no {WEIGHTS} and no {SHARD_INDEX}")
    names = shards_of(directory / SHARD_INDEX, SHARD, source=source)
    return [directory / name for name in names]
