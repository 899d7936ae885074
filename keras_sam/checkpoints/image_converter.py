"""`image_converter_config`: how keras-hub is told to prepare images as SAM expects them."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_config import registered_class, serialize_dtype, serialized_object

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
    """The settings in an `image_converter.json`: `image_size` and those of `DEFAULTS`."""
    class_name = registered_class(serialized, source=source)
    config = serialized.get("config")
    if class_name != "SAMImageConverter" or not isinstance(config, dict):
        raise CheckpointError(f"the image converter of '{source}' is a {class_name}")
    return {name: config[name] for name in ("image_size", *DEFAULTS) if name in config}
