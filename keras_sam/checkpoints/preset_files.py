"""Files of a preset directory that come from anyone: JSON, and indices of weight shards."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_sam.errors import CheckpointError

CONFIG = "config.json"
MAX_JSON_BYTES = 2**24
MAX_SHARDS = 1000


@dataclass(frozen=True)
class PresetFiles:
    """Names of the files of a preset directory, besides `config.json`.

    Attributes:
        weights: File of all weights.
        index: JSON file whose `weight_map` lists shards, which replace `weights`.
        shard: Pattern of the names of shards.
        processor: JSON file that describes the preprocessing of images.
    """

    weights: str
    index: str
    shard: re.Pattern[str]
    processor: str


def find_weight_files(directory: Path, files: PresetFiles, *, source: str) -> list[Path]:
    """Return the paths of the file of weights, or of its shards if there are several.

    Raises:
        CheckpointError: If there is neither a file nor an index, or the index is damaged.
    """
    if (directory / files.weights).is_file():
        return [directory / files.weights]
    if not (directory / files.index).exists():
        raise CheckpointError(f"'{source}' has no {files.weights} and no {files.index}")
    names = read_shard_names(directory / files.index, files.shard, source=source)
    return [directory / name for name in names]


def read_shard_names(index_file: Path, pattern: re.Pattern[str], *, source: str) -> list[str]:
    """Return the sorted file names in the `weight_map` of an index.

    Args:
        index_file: Path of the index.
        pattern: Pattern that each file name must match, so that no name leaves the directory.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If the index is damaged, or a file name does not match.
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
    if len(names) > MAX_SHARDS:
        raise CheckpointError(f"{where} names {len(names)} shards; expected at most {MAX_SHARDS}")
    return sorted(names)


def read_json(file: Path, *, source: str) -> Any:
    """Return the contents of a JSON file.

    Args:
        file: Path of the file.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If it is missing, not a regular file, too large or not JSON, or if it
            contains a number that is not finite.
    """
    where = f"{file.name} of '{source}'"
    if not file.exists():
        raise CheckpointError(f"'{source}' has no {file.name}")
    if not file.is_file():
        raise CheckpointError(f"{where} is not a regular file; replace it by the JSON file itself")
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_JSON_BYTES + 1)
        if len(content) > MAX_JSON_BYTES:
            raise CheckpointError(f"{where} is larger than {MAX_JSON_BYTES} bytes")
        return json.loads(content.decode(), parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{where} is not readable JSON: {error}") from error


def write_json(file: Path, contents: Any) -> None:
    """Write values as an indented JSON file."""
    file.write_text(json.dumps(contents, indent=4) + "\n", encoding="utf-8")


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"the number {number[:40]} is not finite")
    return float(number)
