"""`inspect_checkpoint`: what a file or directory holds, and what is wrong with it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.architectures.sam import count_parameters
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resolve_preset import resolve_preset

LARGEST_README = 2**20  # bytes
LICENSE = re.compile(r"^licen[cs]e:\s*['\"]?([\w.+\-]{1,60})['\"]?\s*$", re.MULTILINE)
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Inspection:
    """What is known of a checkpoint.

    Attributes:
        source: what was looked at.
        format: "keras", "transformers" or "meta"; `None` if it could not be read.
        class_name: of the model.
        architecture: arguments of each part of the model.
        tensors: their number.
        parameters: the number of values in them.
        dtypes: types of the tensors, sorted.
        unused_tensors: tensors that the model does not use, sorted.
        preprocessing: how images are prepared, as `parse_preprocessing` gives it.
        license: as its README states it, if it does.
        problems: what is wrong, each a sentence; empty if the model can be loaded.
    """

    source: str
    format: str | None = None
    class_name: str | None = None
    architecture: dict[str, Any] | None = None
    tensors: int = 0
    parameters: int = 0
    dtypes: tuple[str, ...] = ()
    unused_tensors: tuple[str, ...] = ()
    preprocessing: dict[str, Any] | None = None
    license: str | None = None
    problems: tuple[str, ...] = ()


def inspect_checkpoint(
    source: str | Path, *, progress: Callable[[int, int], Any] | None = None
) -> Inspection:
    """Looks at a checkpoint as loading it would, one tensor in memory at a time.

    Args:
        source: what `read_checkpoint` takes; files from strangers are fine.
        progress: called with the number of tensors read, and of all.
    """
    try:
        checkpoint = read_checkpoint(source)
    except CheckpointError as error:
        return Inspection(str(source), license=license_from_readme(source), problems=(str(error),))
    dtypes: set[str] = set()
    problems = []
    for done, name in enumerate(checkpoint.arrays, start=1):
        try:
            dtypes.add(str(checkpoint.arrays[name].dtype))
        except CheckpointError as error:
            problems.append(str(error))
        if progress is not None:
            progress(done, len(checkpoint.arrays))
    if len(problems) > MOST_PROBLEMS:
        more = f"and {len(problems) - MOST_PROBLEMS} more tensors with problems"
        problems = [*problems[:MOST_PROBLEMS], more]
    return Inspection(
        source=str(source),
        format=checkpoint.format,
        class_name=checkpoint.class_name,
        architecture=architecture(checkpoint),
        tensors=len(checkpoint.arrays),
        parameters=count_parameters(checkpoint.class_name, checkpoint.config),
        dtypes=tuple(sorted(dtypes)),
        unused_tensors=checkpoint.unused_tensors,
        preprocessing=checkpoint.preprocessing,
        license=license_from_readme(source),
        problems=tuple(problems),
    )


def architecture(checkpoint: Checkpoint) -> dict[str, Any]:
    """The arguments of each part, without what does not describe the network."""
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
    """The license in the header of a README.md beside the weights, as hubs write it."""
    try:
        place = resolve_preset(source)
        readme = (place if place.is_dir() else place.parent) / "README.md"
        if not readme.is_file():
            return None
        with readme.open("rb") as opened:
            text = opened.read(LARGEST_README).decode(errors="replace")
    except (CheckpointError, OSError):
        return None
    if not text.startswith("---"):
        return None
    found = LICENSE.search(text.split("\n---", 1)[0])
    return found[1] if found else None
