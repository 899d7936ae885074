"""`resolve_preset`: a preset's name to a directory or a file on this machine."""

import difflib
import re
from pathlib import Path

from keras_sam.checkpoints.builtin_presets import builtin_presets, is_shipped, preset_directory
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.hubs import download_from_hugging_face, download_from_kaggle

# Of an address: letters, digits and underscores, between them single dots and any hyphens.
PART = r"\w+(?:(?:\.|-+)\w+)*"
KAGGLE = re.compile(rf"kaggle://({PART}(?:/{PART}){{3}}(?:/\d{{1,9}})?)", re.ASCII)
HUGGING_FACE = re.compile(rf"hf://({PART}/{PART})(?:@({PART}(?:/{PART})*))?", re.ASCII)
LONGEST_ADDRESS = 300


def resolve_preset(preset: str | Path, *, load_weights: bool = True) -> Path:
    """The local directory or file of a preset, downloaded if need be.

    Args:
        preset: a built-in name, `kaggle://user/model/keras/variant` with an optional version,
            `hf://user/model` with an optional `@revision`, or a local directory or file.
        load_weights: whether the weights are needed; the config of a built-in preset is in this
            package.

    Raises:
        CheckpointError: if there is no such preset or it cannot be downloaded.
    """
    name, presets = str(preset), builtin_presets()
    if isinstance(preset, str) and name in presets:
        if is_shipped(name) or not load_weights:
            return preset_directory(name)
        return _from_hub(presets[name].handle, load_weights=load_weights)
    if isinstance(preset, str) and "://" in name:
        return _from_hub(name, load_weights=load_weights)
    directory = Path(preset).expanduser()
    if directory.exists():
        return directory
    nearest = difflib.get_close_matches(name, presets, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise CheckpointError(
        f"there is no directory, no file and no built-in preset '{name}'; built-in are "
        f"{', '.join(sorted(presets))}.{hint}"
    )


def _from_hub(handle: str, *, load_weights: bool) -> Path:
    is_short = len(handle) <= LONGEST_ADDRESS
    if is_short and (match := KAGGLE.fullmatch(handle)):
        return download_from_kaggle(match[1], load_weights=load_weights)
    if is_short and (match := HUGGING_FACE.fullmatch(handle)):
        return download_from_hugging_face(match[1], revision=match[2], load_weights=load_weights)
    raise CheckpointError(
        f"{handle[:LONGEST_ADDRESS]!r} is not a preset's address; expected "
        "kaggle://user/model/keras/variant, the same with /version, hf://user/model or "
        "hf://user/model@revision"
    )
