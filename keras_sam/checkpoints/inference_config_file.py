"""`inference_config.json`: the file of this package that stores a preset's inference settings.

It is written only if the files of the checkpoint's own format do not describe all settings.
"""

from pathlib import Path
from typing import Any

from keras_sam.checkpoints.preset_files import read_json, write_json
from keras_sam.errors import CheckpointError
from keras_sam.transforms.inference_config import InferenceConfig, parse_inference_config
from keras_sam.transforms.preprocessing import Preprocessing

INFERENCE_CONFIG = "inference_config.json"
MAX_REASON = 400  # characters; a value in a file may be of any length


def check_inference_config(value: Any, *, source: str) -> InferenceConfig:
    """Convert any accepted form of inference settings to an `InferenceConfig`.

    Args:
        value: Value that `parse_inference_config` accepts. `None` stands for SAM's settings.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If the value is not valid.
    """
    try:
        return parse_inference_config(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"the inference config of '{source}' is not valid: {str(error)[:MAX_REASON]}"
        ) from error


def read_inference_config(directory: Path, *, source: str) -> InferenceConfig | None:
    """Return the settings in `inference_config.json`, or `None` if there is no such file.

    Args:
        directory: Directory of the preset.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If the file is damaged.
    """
    file = directory / INFERENCE_CONFIG
    if not file.exists():
        return None
    return check_inference_config(read_json(file, source=source), source=source)


def write_inference_config(
    directory: Path, config: InferenceConfig, *, described: Preprocessing
) -> None:
    """Write `inference_config.json`, unless other files already describe all settings.

    Args:
        directory: Directory of the preset.
        config: Settings to store.
        described: Preprocessing that the other files of the preset describe.
    """
    if config != InferenceConfig(preprocessing=described):
        write_json(directory / INFERENCE_CONFIG, config.to_dict())
