"""`parse_keras_hub_config` and its inverse: the `config.json` of a preset directory."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import (
    ARGUMENTS,
    PARTS,
    SAM,
    check_size,
    model_classes,
)
from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError

PACKAGES = ("keras_hub", "keras_nlp", "keras_sam")


class ClassModules(NamedTuple):
    """Modules that define one class.

    Attributes:
        keras_hub: Module of keras-hub, or `None` if keras-hub has no such class.
        own: Module of this package.
        extra_arguments: Arguments that the class of keras-hub lacks.
    """

    keras_hub: str | None
    own: str
    extra_arguments: tuple[str, ...] = ()


CLASSES = {
    SAM: ClassModules("keras_hub.src.models.sam.sam_backbone", "keras_sam.models.sam_backbone"),
    "SAMPromptEncoder": ClassModules(
        "keras_hub.src.models.sam.sam_prompt_encoder", "keras_sam.layers.sam_prompt_encoder"
    ),
    "SAMMaskDecoder": ClassModules(
        "keras_hub.src.models.sam.sam_mask_decoder",
        "keras_sam.layers.sam_mask_decoder",
        ("early_feature_dim", "hq_token_only"),
    ),
}


def parse_keras_hub_config(serialized: Any, *, source: str) -> tuple[str, dict[str, Any]]:
    """Return the class and the constructor arguments that a `config.json` describes.

    Args:
        serialized: Contents of the file.
        source: Name of the preset, for error messages.

    Returns:
        The class name of a model, and its arguments as `parse_arguments` returns them.

    Raises:
        CheckpointError: If a class, an argument or a value is unknown, or the model is far larger
            than any SAM.
    """
    class_name = registered_class(serialized, source=source)
    if class_name not in model_classes():
        raise CheckpointError(
            f"'{source}' contains the class {class_name[:80]}; supported are "
            + ", ".join(model_classes())
        )
    config = serialized.get("config")
    if class_name == SAM and isinstance(config, dict):
        config = config | {
            name: {
                "class_name": registered_class(config[name], source=source),
                "config": config[name].get("config"),
            }
            for name in PARTS
            if isinstance(config.get(name), dict)
        }
    arguments = parse_arguments(class_name, config, source=source)
    check_size(class_name, arguments, source=source)
    return class_name, arguments


def registered_class(serialized: Any, *, source: str) -> str:
    """Return the class name of a serialized Keras object.

    Raises:
        CheckpointError: If it is not an object, or its package is not one with SAM models.
    """
    if not isinstance(serialized, dict):
        raise CheckpointError(f"the config of '{source}' must be a JSON object")
    registered = serialized.get("registered_name")
    package, _, class_name = str(registered).rpartition(">")
    if package not in PACKAGES:
        raise CheckpointError(
            f"the config of '{source}' has the class {truncate(registered)}; supported are "
            + ", ".join(f"{_package(name)}>{name}" for name in model_classes())
        )
    return class_name


def serialize_config(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `config.json` of a model; the inverse of `parse_keras_hub_config`.

    A model that keras-hub cannot build is serialized as a class of this package.

    Args:
        class_name: Class of the model or part.
        config: Constructor arguments, as `parse_arguments` returns them.
    """
    is_shared = is_in_keras_hub(class_name, config)
    modules = _modules_of(class_name)
    arguments: dict[str, Any] = {}
    for name, value in config.items():
        if name == "dtype":
            value = serialize_dtype(value)
        elif name in PARTS:
            value = serialize_config(value["class_name"], value["config"])
        if not is_shared or name not in modules.extra_arguments:
            arguments[name] = value
    module = (modules.keras_hub if is_shared else None) or modules.own
    package = "keras_hub" if is_shared else "keras_sam"
    return serialize_object(module, class_name, arguments, package=package)


def is_in_keras_hub(class_name: str, config: Mapping[str, Any]) -> bool:
    """Return True if keras-hub has all classes and arguments of a model."""
    modules = _modules_of(class_name)
    if modules.keras_hub is None:
        return False
    if class_name == SAM:
        parts = [config[name] for name in PARTS]
        return all(is_in_keras_hub(part["class_name"], part["config"]) for part in parts)
    is_encoder = class_name in IMAGE_ENCODERS
    known = IMAGE_ENCODERS[class_name].arguments if is_encoder else ARGUMENTS[class_name]
    return all(config[name] == known[name].default for name in modules.extra_arguments)


def serialize_object(
    module: str, class_name: str, config: dict[str, Any], *, package: str = "keras_hub"
) -> dict[str, Any]:
    """Return an object in the format of `keras.saving.serialize_keras_object`."""
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": f"{package}>{class_name}",
    }


def serialize_dtype(name: str) -> dict[str, Any]:
    """Return a dtype policy as Keras serializes it."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": name},
        "registered_name": None,
    }


def _modules_of(class_name: str) -> ClassModules:
    if class_name not in IMAGE_ENCODERS:
        return CLASSES[class_name]
    encoder = IMAGE_ENCODERS[class_name]
    return ClassModules(encoder.keras_hub.module, encoder.module, encoder.keras_hub.extra_arguments)


def _package(class_name: str) -> str:
    return "keras_sam" if _modules_of(class_name).keras_hub is None else "keras_hub"
