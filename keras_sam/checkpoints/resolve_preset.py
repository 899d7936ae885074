"""`resolve_preset`: the local path of a preset, after a download if necessary."""

import difflib
import re
from pathlib import Path

from keras_sam.checkpoints.builtin_presets import builtin_presets, is_shipped, preset_directory
from keras_sam.checkpoints.hubs import download_from_hugging_face, download_from_kaggle
from keras_sam.errors import CheckpointError

# A part of an address: letters, digits and underscores, joined by single dots or any hyphens.
PART = r"\w+(?:(?:\.|-+)\w+)*"
KAGGLE = re.compile(rf"kaggle://({PART}(?:/{PART}){{3}}(?:/\d{{1,9}})?)", re.ASCII)
HUGGING_FACE = re.compile(rf"hf://({PART}/{PART})(?:@({PART}(?:/{PART})*))?", re.ASCII)
MAX_ADDRESS_LENGTH = 300


def resolve_preset(preset: str | Path, *, load_weights: bool = True) -> Path:
    """Return the local directory or file of a preset, and download it if it is not there.

    Args:
        preset: Built-in name, `kaggle://user/model/keras/variant` with an optional version,
            `hf://user/model` with an optional `@revision`, or path of a directory or a file.
        load_weights: If True, weights are downloaded. The config of a built-in preset is in this
            package.

    Raises:
        CheckpointError: If there is no such preset, or it cannot be downloaded.
    """
    name, presets = str(preset), builtin_presets()
    if isinstance(preset, str) and name in presets:
        if is_shipped(name) or not load_weights:
            return preset_directory(name)
        return _download(presets[name].handle, load_weights=load_weights)
    if isinstance(preset, str) and "://" in name:
        return _download(name, load_weights=load_weights)
    path = Path(preset).expanduser()
    if path.exists():
        return path
    nearest = difflib.get_close_matches(name, presets, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise CheckpointError(
        f"there is no directory, no file and no built-in preset '{name}'; built-in presets are "
        f"{', '.join(sorted(presets))}.{hint}"
    )


def _download(address: str, *, load_weights: bool) -> Path:
    is_short = len(address) <= MAX_ADDRESS_LENGTH
    if is_short and (match := KAGGLE.fullmatch(address)):
        return download_from_kaggle(match[1], load_weights=load_weights)
    if is_short and (match := HUGGING_FACE.fullmatch(address)):
        return download_from_hugging_face(match[1], revision=match[2], load_weights=load_weights)
    raise CheckpointError(
        f"{address[:MAX_ADDRESS_LENGTH]!r} is not the address of a preset; expected "
        "kaggle://user/model/keras/variant, the same with /version, hf://user/model or "
        "hf://user/model@revision"
    )
