"""The files of a preset directory: names, and reading JSON with care."""

import json
import math
import re
from pathlib import Path
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError

CONFIG = "config.json"
METADATA = "metadata.json"
TASK = "task.json"
PREPROCESSOR = "preprocessor.json"
IMAGE_CONVERTER = "image_converter.json"
PREPROCESSING = "preprocessing.json"  # ours: what no file of keras-hub or transformers can tell
THRESHOLDS = "thresholds.json"  # ours: of everything mode, where they are not Meta's
PREPROCESSOR_CONFIG = "preprocessor_config.json"  # of transformers
WEIGHTS = "model.weights.h5"
TASK_WEIGHTS = "task.weights.h5"
SHARD_INDEX = "model.weights.json"
SHARD = re.compile(r"model_\d{5}\.weights\.h5")
KEPT_FILES = ("README.md", "LICENSE", "LICENSE.md")  # of a preset that is saved anew

LARGEST_JSON = 2**24  # bytes
MOST_SHARDS = 1000


def is_preset_file(name: str) -> bool:
    """Whether a preset of keras-hub, or of this package, may hold a file of this name."""
    named = (CONFIG, METADATA, TASK, PREPROCESSOR, IMAGE_CONVERTER, PREPROCESSING, THRESHOLDS)
    weights = (WEIGHTS, TASK_WEIGHTS, SHARD_INDEX)
    return name in named or name in weights or SHARD.fullmatch(name) is not None


def shard_name(index: int) -> str:
    """The file name of a shard."""
    return f"model_{index:05}.weights.h5"


def read_json(file: Path, *, source: str) -> Any:
    """The contents of a JSON file.

    Raises:
        CheckpointError: if it is missing, no regular file, too large, not JSON, or holds a number
            that is not finite.
    """
    where = f"{file.name} of '{source}'"
    if not file.exists():
        raise CheckpointError(f"'{source}' has no {file.name}")
    if not file.is_file():
        raise CheckpointError(f"{where} is not a regular file; put the JSON itself in its place")
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise CheckpointError(f"{where} is larger than {LARGEST_JSON} bytes")
        return json.loads(content.decode(), parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{where} is not readable JSON: {error}") from error


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"the number {number[:40]} is not finite")
    return float(number)


def shards_of(index_file: Path, pattern: re.Pattern[str], *, source: str) -> list[str]:
    """The names of the files in the `weight_map` of an index, each of the given pattern.

    Raises:
        CheckpointError: if the index is damaged or names any other file.
    """
    index = read_json(index_file, source=source)
    where = f"{index_file.name} of '{source}'"
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{where} has no weight_map")
    names: set[str] = set()
    for value in weight_map.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or not pattern.fullmatch(name):
                raise CheckpointError(
                    f"{where} names the file {str(name)[:80]!r}; expected {pattern.pattern}"
                )
            names.add(name)
    if len(names) > MOST_SHARDS:
        raise CheckpointError(f"{where} names {len(names)} shards")
    return sorted(names)
