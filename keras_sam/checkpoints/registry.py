"""`CHECKPOINT_FORMATS`: the table of checkpoint formats. A new format is a module and a row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keras_sam.checkpoints.architectures.sam import SAM
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.keras_hub.image_converter import parse_image_converter
from keras_sam.checkpoints.keras_hub.preset import FILES as KERAS_FILES
from keras_sam.checkpoints.keras_hub.preset import (
    is_keras_hub_preset,
    read_keras_hub,
    write_keras_hub,
)
from keras_sam.checkpoints.meta.checkpoint import is_meta_file, read_meta, write_meta
from keras_sam.checkpoints.preset_files import PresetFiles
from keras_sam.checkpoints.transformers.model import FILES as TRANSFORMERS_FILES
from keras_sam.checkpoints.transformers.model import (
    is_transformers_model,
    parse_processor,
    read_transformers,
    write_transformers,
)
from keras_sam.errors import CheckpointError
from keras_sam.transforms.preprocessing import Preprocessing

MAX_SUGGESTIONS = 8


class Recognize(Protocol):
    """Function that returns True if an existing path is of a format."""

    def __call__(self, path: Path, /, *, source: str) -> bool:
        """Return True if the path is of the format. `source` is its name in error messages."""


class Read(Protocol):
    """Function that reads a checkpoint of a format."""

    def __call__(self, path: Path, /, *, load_weights: bool, source: str) -> Checkpoint:
        """Return the checkpoint, without `format` and `inference_config`."""


class Write(Protocol):
    """Function that writes a checkpoint in a format."""

    def __call__(self, path: Path, checkpoint: Checkpoint, /, *, dtype: str) -> None:
        """Write a checkpoint whose arrays have the type `dtype`, completely or not at all."""


@dataclass(frozen=True)
class CheckpointFormat:
    """One format of checkpoints.

    Attributes:
        description: Noun phrase for error messages, such as "a file .pth".
        recognize: Function that returns True for a path of this format.
        read: Function that reads a checkpoint.
        write: Function that writes a checkpoint, and raises a `CheckpointError` if the format
            cannot represent it.
        files: Names of the files of a model directory, which are downloaded from a hub. `None`
            for formats of single files, which are not downloaded.
        parse_processor: Function from the contents of `files.processor` and the checkpoint to the
            preprocessing that they describe.
        has_torch_layout: If True, kernels are stored in the layout of PyTorch.
    """

    description: str
    recognize: Recognize
    read: Read
    write: Write
    files: PresetFiles | None = None
    parse_processor: Callable[[Any, Checkpoint], Preprocessing] | None = None
    has_torch_layout: bool = False


def find_format(path: Path, *, source: str) -> str:
    """Return the name of the format of a local path.

    Args:
        path: Path of an existing file or directory.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If the path is of no known format. For a directory, the message lists the
            checkpoint files in it.
    """
    for name, checkpoint_format in CHECKPOINT_FORMATS.items():
        if checkpoint_format.recognize(path, source=source):
            return name
    known = "; ".join(x.description for x in CHECKPOINT_FORMATS.values())
    message = f"'{source}' has no known checkpoint format; expected one of: {known}"
    if path.is_dir() and (files := _find_files(path)):
        message += f". To read a file in this directory, give its path: {', '.join(files)}"
    raise CheckpointError(message)


def _find_files(directory: Path) -> list[str]:
    """Return the paths of single files in a directory that are of a known format."""
    return [
        str(file)
        for file in sorted(directory.iterdir())
        if file.is_file()
        and any(x.recognize(file, source=str(file)) for x in CHECKPOINT_FORMATS.values())
    ][:MAX_SUGGESTIONS]


def _write_keras(path: Path, checkpoint: Checkpoint, *, dtype: str) -> None:
    write_keras_hub(path, checkpoint, task=checkpoint.class_name == SAM)


CHECKPOINT_FORMATS: dict[str, CheckpointFormat] = {
    "keras": CheckpointFormat(
        description="a directory whose config.json has a registered_name, of keras-hub",
        recognize=is_keras_hub_preset,
        read=read_keras_hub,
        write=_write_keras,
        files=KERAS_FILES,
        parse_processor=lambda contents, checkpoint: parse_image_converter(
            contents, source=checkpoint.source
        ),
    ),
    "transformers": CheckpointFormat(
        description="a directory whose config.json has a model_type, of transformers",
        recognize=is_transformers_model,
        read=read_transformers,
        write=write_transformers,
        files=TRANSFORMERS_FILES,
        parse_processor=parse_processor,
        has_torch_layout=True,
    ),
    "meta": CheckpointFormat(
        description="a file .pth, .pt or .safetensors with Meta's tensor names",
        recognize=is_meta_file,
        read=read_meta,
        write=write_meta,
        has_torch_layout=True,
    ),
}
