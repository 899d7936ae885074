"""`image_converter_config`: how keras-hub is told to prepare images as SAM expects them."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_config import (
    LARGEST_SIZE,
    registered_class,
    serialize_dtype,
    serialized_object,
    shortened,
)

LARGEST_FACTOR = 1e6  # pixels are below 256
# SAM scales the longest side and pads; keras-hub's default would crop.
DEFAULTS: dict[str, Any] = {
    "scale": 1 / 255.0,
    "offset": None,
    "interpolation": "bilinear",
    "antialias": False,
    "crop_to_aspect_ratio": False,
    "pad_to_aspect_ratio": True,
    "bounding_box_format": "yxyx",
}


def image_converter_config(
    config: Mapping[str, Any], preprocessing: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The contents of `image_converter.json` for a `SAMBackbone`.

    Args:
        config: of the backbone; its image size is the converter's.
        preprocessing: settings that replace the defaults, as `parse_image_converter` gives them.
    """
    height, width, _ = config["image_encoder"]["config"]["image_shape"]
    known = {name: value for name, value in (preprocessing or {}).items() if name in DEFAULTS}
    arguments = {
        "name": "sam_image_converter",
        "trainable": True,
        "dtype": serialize_dtype("float32"),
        "image_size": [height, width],
        **(DEFAULTS | known),
    }
    module = "keras_hub.src.models.sam.sam_image_converter"
    return serialized_object(module, "SAMImageConverter", arguments)


def parse_image_converter(serialized: Any, *, source: str) -> dict[str, Any]:
    """The settings in an `image_converter.json`: `image_size` and those of `DEFAULTS`.

    Raises:
        CheckpointError: if it is of another class, or a setting has no value of its kind.
    """
    class_name = registered_class(serialized, source=source)
    config = serialized.get("config")
    if class_name != "SAMImageConverter" or not isinstance(config, dict):
        raise CheckpointError(f"the image converter of '{source}' is a {class_name[:80]}")
    settings = {name: config[name] for name in CHECKS if name in config}
    for name, value in settings.items():
        if not CHECKS[name](value):
            raise CheckpointError(
                f"the image converter of '{source}' has {name}={shortened(value)}, which is not "
                "valid"
            )
    return settings


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return value is None or all(type(side) is int and 0 < side <= LARGEST_SIZE for side in sides)


def _is_factor(value: Any) -> bool:
    channels = value if isinstance(value, list) and len(value) == 3 else [value]
    return value is None or all(
        type(factor) in (int, float) and abs(factor) <= LARGEST_FACTOR for factor in channels
    )


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and len(value) <= 40


CHECKS: dict[str, Callable[[Any], bool]] = {
    "image_size": _is_size,
    "scale": _is_factor,
    "offset": _is_factor,
    "interpolation": _is_word,
    "antialias": _is_bool,
    "crop_to_aspect_ratio": _is_bool,
    "pad_to_aspect_ratio": _is_bool,
    "bounding_box_format": _is_word,
}
