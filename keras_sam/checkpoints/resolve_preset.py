"""`resolve_preset`: a preset's name to a directory on this machine."""

from pathlib import Path

from keras_sam.checkpoints.builtin_presets import builtin_presets, is_shipped, preset_directory
from keras_sam.checkpoints.checkpoint import CheckpointError


def resolve_preset(preset: str | Path, *, load_weights: bool = True) -> Path:
    """The local directory of a preset, downloaded if need be."""
    presets = builtin_presets()
    if isinstance(preset, str) and preset in presets:
        if is_shipped(preset) or not load_weights:
            return preset_directory(preset)
        raise CheckpointError(f"cannot download '{preset}'")
    directory = Path(preset)
    if not directory.is_dir():
        raise CheckpointError(f"no preset '{preset}'")
    return directory
