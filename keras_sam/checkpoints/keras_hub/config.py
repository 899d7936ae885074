"""`parse_keras_config`: a serialized config to plain values, by a table of what is known.

Nothing of a config is executed or imported: a class or an argument that is not in the table is
an error.
"""

import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.architectures.sam import check_size
from keras_sam.checkpoints.checkpoint import CheckpointError

REQUIRED = object()
PACKAGES = ("keras_hub", "keras_nlp", "keras_sam")
DTYPE_POLICIES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")
LARGEST_SIZE = 2**16  # of any width or side: far above any model, far below trouble
MOST_LAYERS = 512
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = 80


def _integer(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _integers(count: int, high: int = LARGEST_SIZE) -> Callable[[Any], bool]:
    is_size = _integer(1, high)
    return lambda value: (
        isinstance(value, list | tuple) and len(value) == count and all(map(is_size, value))
    )


def _is_index_list(value: Any) -> bool:
    is_index = _integer(0, LARGEST_SIZE)
    return (
        isinstance(value, list | tuple) and len(value) <= MOST_LAYERS and all(map(is_index, value))
    )


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_epsilon(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def _is_activation(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.\- ]{1,200}", value) is not None


SIZE, LAYERS = _integer(1, LARGEST_SIZE), _integer(1, MOST_LAYERS)

# Argument to (check, default). Facts of the model; defaults as in the classes.
ARGUMENTS: dict[str, dict[str, tuple[Callable[[Any], bool], Any]]] = {
    "ViTDetBackbone": {
        "hidden_size": (SIZE, REQUIRED),
        "num_layers": (LAYERS, REQUIRED),
        "intermediate_dim": (SIZE, REQUIRED),
        "num_heads": (SIZE, REQUIRED),
        "global_attention_layer_indices": (_is_index_list, REQUIRED),
        "image_shape": (_integers(3), [1024, 1024, 3]),
        "patch_size": (SIZE, 16),
        "num_output_channels": (SIZE, 256),
        "use_bias": (_is_bool, True),
        "use_abs_pos": (_is_bool, True),
        "use_rel_pos": (_is_bool, True),
        "window_size": (_integer(0, LARGEST_SIZE), 14),
        "layer_norm_epsilon": (_is_epsilon, 1e-6),
        "output_early_feature": (_is_bool, False),
    },
    "TinyViTBackbone": {
        "hidden_sizes": (_integers(4), [64, 128, 160, 320]),
        "depths": (_integers(4, MOST_LAYERS), [2, 2, 6, 2]),
        "num_heads": (_integers(3), [4, 5, 10]),
        "window_sizes": (_integers(3), [7, 14, 7]),
        "mlp_ratio": (SIZE, 4),
        "mbconv_expansion": (SIZE, 4),
        "image_shape": (_integers(3), [1024, 1024, 3]),
        "num_output_channels": (SIZE, 256),
        "use_batch_norm": (_is_bool, True),
        "output_early_feature": (_is_bool, False),
    },
    "SAMPromptEncoder": {
        "hidden_size": (SIZE, 256),
        "image_embedding_size": (_integers(2), [64, 64]),
        "input_image_size": (_integers(2), [1024, 1024]),
        "mask_in_channels": (SIZE, 16),
        "activation": (_is_activation, "gelu"),
    },
    "SAMMaskDecoder": {
        "hidden_size": (SIZE, 256),
        "num_layers": (LAYERS, 2),
        "intermediate_dim": (SIZE, 2048),
        "num_heads": (SIZE, 8),
        "embedding_dim": (SIZE, 256),
        "num_multimask_outputs": (LAYERS, 3),
        "iou_head_depth": (LAYERS, 3),
        "iou_head_hidden_dim": (SIZE, 256),
        "activation": (_is_activation, "gelu"),
        "early_feature_dim": (_integer(0, LARGEST_SIZE), 0),
        "hq_token_only": (_is_bool, False),
    },
}
# The classes that each part of a `SAMBackbone` may have.
PARTS = {
    "image_encoder": ("ViTDetBackbone", "TinyViTBackbone"),
    "prompt_encoder": ("SAMPromptEncoder",),
    "mask_decoder": ("SAMMaskDecoder",),
}
# Where keras-hub has its classes. Other classes, and arguments that it lacks, are ours.
HUB_MODULES = {
    "SAMBackbone": "keras_hub.src.models.sam.sam_backbone",
    "ViTDetBackbone": "keras_hub.src.models.vit_det.vit_det_backbone",
    "SAMPromptEncoder": "keras_hub.src.models.sam.sam_prompt_encoder",
    "SAMMaskDecoder": "keras_hub.src.models.sam.sam_mask_decoder",
}
OUR_MODULES = {
    "SAMBackbone": "keras_sam.models.sam_backbone",
    "ViTDetBackbone": "keras_sam.models.vit_det_backbone",
    "TinyViTBackbone": "keras_sam.models.tiny_vit_backbone",
    "SAMMaskDecoder": "keras_sam.layers.sam_mask_decoder",
}
# Arguments that keras-hub lacks; a model that uses one is saved as a class of ours.
OUR_ARGUMENTS = {
    "ViTDetBackbone": ("output_early_feature",),
    "SAMMaskDecoder": ("early_feature_dim", "hq_token_only"),
}
MODELS = ("SAMBackbone", "ViTDetBackbone", "TinyViTBackbone")


def parse_keras_config(serialized: Any, *, source: str) -> tuple[str, dict[str, Any]]:
    """The class and plain constructor arguments of a `config.json` of keras-hub.

    Args:
        serialized: the parsed JSON.
        source: the preset, for messages.

    Returns:
        A class of `MODELS`, and its arguments, each present, lists for tuples.

    Raises:
        CheckpointError: for a class, an argument or a value that is not known, or a model that
            is far larger than any SAM.
    """
    class_name = registered_class(serialized, source=source)
    if class_name not in MODELS:
        raise CheckpointError(
            f"preset '{source}' holds the class {class_name[:80]}; supported are "
            + ", ".join(MODELS)
        )
    arguments = parse_arguments(class_name, serialized.get("config"), source=source)
    check_size(class_name, arguments, source=source)
    return class_name, arguments


def registered_class(serialized: Any, *, source: str) -> str:
    """The class name in `registered_name`, if the package is one whose classes we know."""
    if not isinstance(serialized, dict):
        raise CheckpointError(f"the config of '{source}' must be a JSON object")
    registered = serialized.get("registered_name")
    package, _, class_name = str(registered).rpartition(">")
    if package not in PACKAGES:
        raise CheckpointError(
            f"the config of '{source}' names the class {truncate(registered)}; supported are "
            + ", ".join(f"{_package(name)}>{name}" for name in MODELS)
        )
    return class_name


def _package(class_name: str) -> str:
    return "keras_hub" if class_name in HUB_MODULES else "keras_sam"


def parse_arguments(class_name: str, config: Any, *, source: str) -> dict[str, Any]:
    """Checked constructor arguments of one class, its parts nested."""
    where = f"{class_name} in the config of '{source}'"
    if not isinstance(config, dict):
        raise CheckpointError(f"{where} has no arguments")
    known = PARTS if class_name == "SAMBackbone" else ARGUMENTS[class_name]
    if unknown := sorted(set(config) - set(known) - {"name", "trainable", "dtype"}):
        raise CheckpointError(
            f"{where} has unknown arguments {truncate(unknown)}; known are {sorted(known)}"
        )
    plain = _common_arguments(config, where)
    if class_name == "SAMBackbone":
        return plain | _parts(config, source=source)
    for name, (is_valid, default) in ARGUMENTS[class_name].items():
        value = config.get(name, default)
        if value is REQUIRED:
            raise CheckpointError(f"{where} lacks the argument '{name}'")
        if not is_valid(value):
            raise CheckpointError(f"{where} has {name}={truncate(value)}, which is not valid")
        plain[name] = list(value) if isinstance(value, list | tuple) else value
    return plain


def serialize_config(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Plain arguments as keras-hub serializes them; the inverse of `parse_keras_config`.

    A model that keras-hub has not is given the name that it has here.
    """
    of_hub = is_of_keras_hub(class_name, config)
    arguments: dict[str, Any] = {}
    for name, value in config.items():
        if name == "dtype":
            value = serialize_dtype(value)
        elif name in PARTS:
            value = serialize_config(value["class_name"], value["config"])
        if not of_hub or name not in OUR_ARGUMENTS.get(class_name, ()):
            arguments[name] = value
    package, modules = ("keras_hub", HUB_MODULES) if of_hub else ("keras_sam", OUR_MODULES)
    return serialized_object(modules[class_name], class_name, arguments, package=package)


def is_of_keras_hub(class_name: str, config: Mapping[str, Any]) -> bool:
    """Whether keras-hub has this very model: all its classes and arguments."""
    parts = [config[name] for name in PARTS if name in config]
    if class_name not in HUB_MODULES or parts:
        return class_name in HUB_MODULES and all(
            is_of_keras_hub(part["class_name"], part["config"]) for part in parts
        )
    known = ARGUMENTS[class_name]
    return all(config[name] == known[name][1] for name in OUR_ARGUMENTS.get(class_name, ()))


def serialized_object(
    module: str, class_name: str, config: dict[str, Any], *, package: str = "keras_hub"
) -> dict[str, Any]:
    """An object in the form of `keras.saving.serialize_keras_object`."""
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": f"{package}>{class_name}",
    }


def serialize_dtype(name: str) -> dict[str, Any]:
    """A dtype policy as Keras serializes it."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": name},
        "registered_name": None,
    }


def _common_arguments(config: dict[str, Any], where: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if config.get("name") is not None:
        if not _is_name(config["name"]):
            raise CheckpointError(f"{where} has the name {truncate(config['name'])}")
        plain["name"] = config["name"]
    plain["trainable"] = config.get("trainable", True)
    if not _is_bool(plain["trainable"]):
        raise CheckpointError(f"{where} has trainable={truncate(plain['trainable'])}")
    dtype = config.get("dtype") or "float32"
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        dtype = dtype["config"].get("name")
    if dtype not in DTYPE_POLICIES:
        raise CheckpointError(
            f"{where} has the dtype {truncate(dtype)}; supported are {', '.join(DTYPE_POLICIES)}"
        )
    return plain | {"dtype": dtype}


def _parts(config: dict[str, Any], *, source: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for name, class_names in PARTS.items():
        part = config.get(name)
        if not isinstance(part, dict):
            raise CheckpointError(f"SAMBackbone in the config of '{source}' lacks its {name}")
        found = part["class_name"] if _is_plain(part) else registered_class(part, source=source)
        if found not in class_names:
            raise CheckpointError(
                f"the {name} of '{source}' is a {truncate(found)}; supported is "
                + " or ".join(class_names)
            )
        arguments = parse_arguments(found, part.get("config"), source=source)
        parts[name] = {"class_name": found, "config": arguments}
    return parts


def _is_plain(part: dict[str, Any]) -> bool:
    return set(part) == {"class_name", "config"}


def truncate(value: Any) -> str:
    """A value from a file for a message, however long or deep it is."""
    return SHORT.repr(value)
