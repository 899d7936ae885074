"""`read_preprocessing`: what the files beside the weights tell of how images are prepared."""

from pathlib import Path
from typing import Any

from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.keras_hub.image_converter import parse_image_converter
from keras_sam.checkpoints.preprocessing import SAM, parse_preprocessing
from keras_sam.checkpoints.preset_files import (
    IMAGE_CONVERTER,
    PREPROCESSING,
    PREPROCESSOR_CONFIG,
    read_json,
)
from keras_sam.checkpoints.transformers.preprocessor_config import parse_preprocessor_config


def read_preprocessing(place: Path, checkpoint: Checkpoint, *, source: str) -> dict[str, Any]:
    """The preprocessing of the model in a directory; SAM's if nothing tells.

    Our own file goes before the one of the format. A file with Meta's names tells nothing.

    Args:
        place: the directory, or Meta's file.
        checkpoint: its format and config.
        source: the preset, for messages.

    Raises:
        CheckpointError: if a file is damaged, or tells of what is not supported.
    """
    if checkpoint.format not in ("keras", "transformers"):
        return dict(SAM)
    if (place / PREPROCESSING).exists():
        return parse_preprocessing(read_json(place / PREPROCESSING, source=source), source=source)
    name = preprocessing_file(is_transformers=checkpoint.format == "transformers")
    if not (place / name).exists():
        return dict(SAM)
    contents = read_json(place / name, source=source)
    if checkpoint.format == "keras":
        return parse_image_converter(contents, source=source)
    size = checkpoint.config["image_encoder"]["config"]["image_shape"][:2]
    return parse_preprocessor_config(contents, image_size=size, source=source)


def preprocessing_file(*, is_transformers: bool) -> str:
    """Where a format tells of preprocessing."""
    return PREPROCESSOR_CONFIG if is_transformers else IMAGE_CONVERTER
