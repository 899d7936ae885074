"""`parse_arguments`: constructor arguments from a file, checked against a table.

Nothing in a config is executed or imported. A class or an argument that is not in the tables is
an error.
"""

import re
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.argument import REQUIRED, Argument
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import ARGUMENTS, IMAGE_ENCODER, PARTS, SAM
from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError

DTYPE_POLICIES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")
COMMON_ARGUMENTS = {"name", "trainable", "dtype"}


def parse_arguments(class_name: str, config: Any, *, source: str) -> dict[str, Any]:
    """Return the constructor arguments of a class as checked plain values.

    Args:
        class_name: `SAMBackbone` or the class of one of its parts.
        config: Arguments by name. Parts are nested as `{"class_name": ..., "config": ...}`.
            Missing arguments get the defaults of the class.
        source: Name of the preset, for error messages.

    Returns:
        Every argument by name, with lists for tuples. `dtype` is the name of a policy.

    Raises:
        CheckpointError: If an argument is unknown, missing or not valid.
    """
    where = f"{class_name} in the config of '{source}'"
    if not isinstance(config, dict):
        raise CheckpointError(f"{where} has no arguments")
    known = PARTS if class_name == SAM else _arguments_of(class_name)
    if unknown := sorted(set(config) - set(known) - COMMON_ARGUMENTS):
        raise CheckpointError(
            f"{where} has unknown arguments {truncate(unknown)}; known are {', '.join(known)}"
        )
    plain = _parse_common_arguments(config, where)
    if class_name == SAM:
        return plain | _parse_parts(config, source=source)
    for name, argument in _arguments_of(class_name).items():
        value = config.get(name, argument.default)
        if value is REQUIRED:
            raise CheckpointError(f"{where} needs the argument '{name}'")
        if not argument.is_valid(value):
            raise CheckpointError(f"{where} has {name}={truncate(value)}, which is not valid")
        plain[name] = list(value) if isinstance(value, list | tuple) else value
    return plain


def _arguments_of(class_name: str) -> Mapping[str, Argument]:
    if class_name in IMAGE_ENCODERS:
        return IMAGE_ENCODERS[class_name].arguments
    return ARGUMENTS[class_name]


def _parse_parts(config: dict[str, Any], *, source: str) -> dict[str, Any]:
    classes = {
        IMAGE_ENCODER: tuple(IMAGE_ENCODERS),
        "prompt_encoder": ("SAMPromptEncoder",),
        "mask_decoder": ("SAMMaskDecoder",),
    }
    parts: dict[str, Any] = {}
    for name in PARTS:
        part = config.get(name)
        if not isinstance(part, dict):
            raise CheckpointError(f"{SAM} in the config of '{source}' needs the part '{name}'")
        class_name = part.get("class_name")
        if class_name not in classes[name]:
            raise CheckpointError(
                f"the {name} of '{source}' is a {truncate(class_name)}; supported is "
                + " or ".join(classes[name])
            )
        arguments = parse_arguments(class_name, part.get("config"), source=source)
        parts[name] = {"class_name": class_name, "config": arguments}
    return parts


def _parse_common_arguments(config: dict[str, Any], where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if config.get("name") is not None:
        if not _is_name(config["name"]):
            raise CheckpointError(
                f"{where} has name={truncate(config['name'])}, which is not valid"
            )
        plain["name"] = config["name"]
    plain["trainable"] = config.get("trainable", True)
    if not isinstance(plain["trainable"], bool):
        raise CheckpointError(f"{where} has trainable={truncate(plain['trainable'])}")
    dtype = config.get("dtype") or "float32"
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        dtype = dtype["config"].get("name")
    if dtype not in DTYPE_POLICIES:
        raise CheckpointError(
            f"{where} has the dtype {truncate(dtype)}; supported are {', '.join(DTYPE_POLICIES)}"
        )
    return plain | {"dtype": dtype}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.\- ]{1,200}", value) is not None
