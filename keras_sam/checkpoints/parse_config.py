"""`parse_config`: the `config.json` of any supported format, as ours."""

from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import parse_keras_config
from keras_sam.checkpoints.transformers.config import parse_transformers_config


def parse_config(contents: Any, *, source: str) -> tuple[str, dict[str, Any]]:
    """The class and the constructor's arguments that a `config.json` describes.

    Args:
        contents: the parsed JSON.
        source: the preset, for messages.

    Raises:
        CheckpointError: if its format, class or a value in it is not supported.
    """
    if is_transformers_config(contents):
        return "SAMBackbone", parse_transformers_config(contents, source=source)
    if isinstance(contents, dict) and contents.get("registered_name"):
        return parse_keras_config(contents, source=source)
    raise CheckpointError(
        f"the config of '{source}' is neither of keras-hub (registered_name) nor of transformers "
        "(model_type)"
    )


def is_transformers_config(contents: Any) -> bool:
    """Whether it is a config of transformers, of any model, rather than of keras-hub."""
    if not isinstance(contents, dict) or contents.get("registered_name"):
        return False
    return bool(contents.get("model_type"))
