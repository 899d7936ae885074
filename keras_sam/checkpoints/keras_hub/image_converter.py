"""`image_converter_config`: how keras-hub is told to prepare images; and back."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import (
    LARGEST_SIZE,
    registered_class,
    serialize_dtype,
    serialized_object,
    truncate,
)
from keras_sam.checkpoints.preprocessing import PIXEL_MEAN, PIXEL_STD, SAM
from keras_sam.checkpoints.preset_files import PREPROCESSOR

LARGEST_FACTOR = 1e6  # pixels are below 256
# keras-hub's models normalize inside, as ours do: this undoes it, but for rounding.
UNIT_SCALE = [std / 255 for std in PIXEL_STD]
UNIT_OFFSET = list(PIXEL_MEAN)


def image_converter_config(
    config: Mapping[str, Any], preprocessing: Mapping[str, str]
) -> dict[str, Any]:
    """The contents of `image_converter.json` for a `SAMBackbone`: what comes nearest.

    keras-hub pads with black, not with the mean color, and has no minimum and maximum of an image:
    `min_max` becomes `unit`.

    Args:
        config: of the backbone; its image size is the converter's.
        preprocessing: as `parse_preprocessing` gives it.
    """
    height, width, _ = config["image_encoder"]["config"]["image_shape"]
    is_normalized = preprocessing["normalization"] == "imagenet"
    arguments = {
        "name": "sam_image_converter",
        "trainable": True,
        "dtype": serialize_dtype("float32"),
        "image_size": [height, width],
        "scale": 1 / 255.0 if is_normalized else UNIT_SCALE,
        "offset": None if is_normalized else UNIT_OFFSET,
        "interpolation": preprocessing["interpolation"],
        "antialias": True,
        "crop_to_aspect_ratio": False,  # keras-hub's default, which SAM never does
        "pad_to_aspect_ratio": preprocessing["resize"] == "longest_side",
        "bounding_box_format": "yxyx",
    }
    module = "keras_hub.src.models.sam.sam_image_converter"
    return serialized_object(module, "SAMImageConverter", arguments)


def hub_preprocessor_config(converter: dict[str, Any], *, dtype: str) -> dict[str, Any]:
    """The contents of `preprocessor.json`, which nests the converter."""
    arguments = {
        "name": "sam_image_segmenter_preprocessor",
        "trainable": True,
        "dtype": serialize_dtype(dtype),
        "image_converter": converter,
        "config_file": PREPROCESSOR,
    }
    module = "keras_hub.src.models.sam.sam_image_segmenter_preprocessor"
    return serialized_object(module, "SAMImageSegmenterPreprocessor", arguments)


def parse_image_converter(serialized: Any, *, source: str) -> dict[str, Any]:
    """The preprocessing that an `image_converter.json` tells, where it is all there is.

    The presets of keras-hub are SAM's, whatever their converter is left at, cropping included.
    Only what `image_converter_config` writes for other models is taken for more than that.

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
                f"the image converter of '{source}' has {name}={truncate(value)}, which is not "
                "valid"
            )
    preprocessing = dict(SAM)
    shapes = [settings.get(f"{way}_to_aspect_ratio") for way in ("crop", "pad")]
    if shapes == [False, False]:
        preprocessing["resize"] = "stretch"
    if settings.get("interpolation") == "bicubic":
        preprocessing["interpolation"] = "bicubic"
    if settings.get("scale") == UNIT_SCALE and settings.get("offset") == UNIT_OFFSET:
        preprocessing["normalization"] = "unit"
    return preprocessing


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
