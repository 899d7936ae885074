"""`inspect_checkpoint`: the contents of a checkpoint, and its problems."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resolve_preset import resolve_preset
from keras_sam.errors import CheckpointError
from keras_sam.transforms.inference_config import InferenceConfig

MAX_README_BYTES = 2**20
MAX_PROBLEMS = 20
LICENSE = re.compile(r"^licen[cs]e:\s*['\"]?([\w.+\-]{1,60})['\"]?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Inspection:
    """Report about a checkpoint.

    Attributes:
        source: Checkpoint that was read.
        format: Its format, a key of `CHECKPOINT_FORMATS`. `None` if it could not be read.
        class_name: Class of the model.
        architecture: Constructor arguments of each part of the model.
        tensors: Number of tensors.
        parameters: Number of values in them.
        dtypes: Types of the tensors, sorted.
        unused_tensors: Sorted names of tensors that the model does not use.
        inference_config: Inference settings of the model.
        license: License that its README states, if any.
        problems: One sentence for each problem. Empty if the model can be loaded.
    """

    source: str
    format: str | None = None
    class_name: str | None = None
    architecture: dict[str, Any] | None = None
    tensors: int = 0
    parameters: int = 0
    dtypes: tuple[str, ...] = ()
    unused_tensors: tuple[str, ...] = ()
    inference_config: InferenceConfig | None = None
    license: str | None = None
    problems: tuple[str, ...] = ()


def inspect_checkpoint(
    source: str | Path, *, progress: Callable[[int, int], Any] | None = None
) -> Inspection:
    """Read a checkpoint as loading it would, with one tensor in memory at a time.

    Args:
        source: Preset that `read_checkpoint` accepts. It need not be trusted.
        progress: Function that is called with the number of tensors that were read, and the
            number of all tensors.
    """
    try:
        checkpoint = read_checkpoint(source)
    except CheckpointError as error:
        return Inspection(str(source), license=license_from_readme(source), problems=(str(error),))
    dtypes, problems = _read_all(checkpoint, progress)
    return Inspection(
        source=str(source),
        format=checkpoint.format,
        class_name=checkpoint.class_name,
        architecture=describe_architecture(checkpoint),
        tensors=len(checkpoint.arrays),
        parameters=count_parameters(checkpoint.class_name, checkpoint.config),
        dtypes=dtypes,
        unused_tensors=checkpoint.unused_tensors,
        inference_config=checkpoint.inference_config,
        license=license_from_readme(source),
        problems=problems,
    )


def describe_architecture(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the arguments of each part by its name, without `name` and `trainable`."""
    parts = {
        name: value["config"]
        for name, value in checkpoint.config.items()
        if isinstance(value, dict) and "config" in value
    }
    return {
        part: {name: value for name, value in config.items() if name not in ("name", "trainable")}
        for part, config in (parts or {checkpoint.class_name: checkpoint.config}).items()
    }


def license_from_readme(source: str | Path) -> str | None:
    """Return the license in the header of the README.md of a preset, as hubs write it."""
    try:
        path = resolve_preset(source)
        readme = (path if path.is_dir() else path.parent) / "README.md"
        if not readme.is_file():
            return None
        with readme.open("rb") as opened:
            text = opened.read(MAX_README_BYTES).decode(errors="replace")
    except (CheckpointError, OSError):
        return None
    if not text.startswith("---"):
        return None
    match = LICENSE.search(text.split("\n---", 1)[0])
    return match[1] if match else None


def _read_all(
    checkpoint: Checkpoint, progress: Callable[[int, int], Any] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read each array once. Return the types of the arrays, and the problems."""
    dtypes: set[str] = set()
    problems = []
    for count, name in enumerate(checkpoint.arrays, start=1):
        try:
            dtypes.add(str(checkpoint.arrays[name].dtype))
        except CheckpointError as error:
            problems.append(str(error))
        if progress is not None:
            progress(count, len(checkpoint.arrays))
    if len(problems) > MAX_PROBLEMS:
        more = f"and {len(problems) - MAX_PROBLEMS} more tensors with problems"
        problems = [*problems[:MAX_PROBLEMS], more]
    return tuple(sorted(dtypes)), tuple(problems)
