"""`read_checkpoint`: a preset in any format as a config and arrays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.builtin_presets import builtin_inference_config
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.inference_config_file import (
    check_inference_config,
    read_inference_config,
)
from keras_sam.checkpoints.preset_files import read_json
from keras_sam.checkpoints.registry import CHECKPOINT_FORMATS, CheckpointFormat, find_format
from keras_sam.checkpoints.resolve_preset import resolve_preset
from keras_sam.transforms.inference_config import InferenceConfig


def read_checkpoint(
    preset: str | Path, *, load_weights: bool = True, inference_config: Any = None
) -> Checkpoint:
    """Read a SAM model in any format of `CHECKPOINT_FORMATS`. The format is detected.

    The config, and the names, shapes, types and sizes of all weights are checked before memory is
    allocated for a weight. Each array is read, and checked to be finite, when it is used.

    Args:
        preset: Built-in name, `kaggle://...`, `hf://...`, or path of a directory or a file.
        load_weights: If True, weights are loaded. If False, a built-in preset needs no network.
        inference_config: Inference settings that replace those of the preset: any value that
            `parse_inference_config` accepts. If `None`, they are those of the built-in preset, or
            else those in the files of the preset, or else SAM's.

    Raises:
        CheckpointError: If there is no such preset, it cannot be downloaded, or it is damaged or
            not supported.
    """
    source = str(preset)
    if inference_config is None:
        inference_config = builtin_inference_config(preset)
    settings = None
    if inference_config is not None:
        settings = check_inference_config(inference_config, source=source)
    path = resolve_preset(preset, load_weights=load_weights)
    name = find_format(path, source=source)
    checkpoint_format = CHECKPOINT_FORMATS[name]
    checkpoint = checkpoint_format.read(path, load_weights=load_weights, source=source)
    if settings is None:
        settings = _read_inference_config(path, checkpoint_format, checkpoint)
    return replace(checkpoint, format=name, inference_config=settings)


def _read_inference_config(
    path: Path, checkpoint_format: CheckpointFormat, checkpoint: Checkpoint
) -> InferenceConfig:
    """Read our own file if there is one, or else the file of the format."""
    files, parse = checkpoint_format.files, checkpoint_format.parse_processor
    if files is None or parse is None:
        return InferenceConfig()
    settings = read_inference_config(path, source=checkpoint.source)
    if settings is not None:
        return settings
    if not (path / files.processor).exists():
        return InferenceConfig()
    contents = read_json(path / files.processor, source=checkpoint.source)
    return InferenceConfig(preprocessing=parse(contents, checkpoint))
