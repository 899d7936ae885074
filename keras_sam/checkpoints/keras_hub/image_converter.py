"""`image_converter_config` and its inverse: preprocessing as keras-hub stores it."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.architectures.argument import MAX_SIZE, is_bool
from keras_sam.checkpoints.keras_hub.config import (
    registered_class,
    serialize_dtype,
    serialize_object,
)
from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD, Preprocessing

IMAGE_CONVERTER = "image_converter.json"
PREPROCESSOR = "preprocessor.json"
MAX_FACTOR = 1e6  # pixels are below 256
# The models of keras-hub apply ImageNet's normalization, as ours do. These values undo it in
# advance, up to rounding.
UNIT_SCALE = [std / 255 for std in PIXEL_STD]
UNIT_OFFSET = list(PIXEL_MEAN)


def image_converter_config(
    config: Mapping[str, Any], preprocessing: Preprocessing
) -> dict[str, Any]:
    """Return the `image_converter.json` that is nearest to a preprocessing.

    keras-hub pads with black instead of the mean color, and does not normalize by the minimum and
    maximum of an image: "min_max" is written as "unit".

    Args:
        config: Config of the `SAMBackbone`, whose image size is that of the converter.
        preprocessing: Preprocessing of the model.
    """
    height, width, _ = config["image_encoder"]["config"]["image_shape"]
    is_imagenet = preprocessing.normalization == "imagenet"
    arguments = {
        "name": "sam_image_converter",
        "trainable": True,
        "dtype": serialize_dtype("float32"),
        "image_size": [height, width],
        "scale": 1 / 255.0 if is_imagenet else UNIT_SCALE,
        "offset": None if is_imagenet else UNIT_OFFSET,
        "interpolation": preprocessing.interpolation,
        "antialias": True,
        "crop_to_aspect_ratio": False,  # the default of keras-hub crops, which SAM never does
        "pad_to_aspect_ratio": preprocessing.resize == "longest_side",
        "bounding_box_format": "yxyx",
    }
    module = "keras_hub.src.models.sam.sam_image_converter"
    return serialize_object(module, "SAMImageConverter", arguments)


def preprocessor_config(converter: dict[str, Any], *, dtype: str) -> dict[str, Any]:
    """Return the `preprocessor.json` that contains an image converter.

    Args:
        converter: Output of `image_converter_config`.
        dtype: Name of the model's dtype policy.
    """
    arguments = {
        "name": "sam_image_segmenter_preprocessor",
        "trainable": True,
        "dtype": serialize_dtype(dtype),
        "image_converter": converter,
        "config_file": PREPROCESSOR,
    }
    module = "keras_hub.src.models.sam.sam_image_segmenter_preprocessor"
    return serialize_object(module, "SAMImageSegmenterPreprocessor", arguments)


def parse_image_converter(serialized: Any, *, source: str) -> Preprocessing:
    """Return the preprocessing that an `image_converter.json` describes.

    Presets of keras-hub are SAM's, even if their converter keeps the default of cropping. Only
    the settings that `image_converter_config` writes for other models change the result.

    Args:
        serialized: Contents of the file.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If it is of another class, or a setting is not valid.
    """
    class_name = registered_class(serialized, source=source)
    config = serialized.get("config")
    if class_name != "SAMImageConverter" or not isinstance(config, dict):
        raise CheckpointError(
            f"the image converter of '{source}' is a {class_name[:80]}; expected a "
            "SAMImageConverter with a config"
        )
    settings = {name: config[name] for name in CHECKS if name in config}
    for name, value in settings.items():
        if not CHECKS[name](value):
            raise CheckpointError(
                f"the image converter of '{source}' has {name}={truncate(value)}, which is not "
                "valid"
            )
    crop, pad = settings.get("crop_to_aspect_ratio"), settings.get("pad_to_aspect_ratio")
    is_unit = settings.get("scale") == UNIT_SCALE and settings.get("offset") == UNIT_OFFSET
    return Preprocessing(
        resize="stretch" if crop is False and pad is False else "longest_side",
        interpolation="bicubic" if settings.get("interpolation") == "bicubic" else "bilinear",
        normalization="unit" if is_unit else "imagenet",
    )


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return value is None or all(type(side) is int and 0 < side <= MAX_SIZE for side in sides)


def _is_factor(value: Any) -> bool:
    channels = value if isinstance(value, list) and len(value) == 3 else [value]
    return value is None or all(
        type(factor) in (int, float) and abs(factor) <= MAX_FACTOR for factor in channels
    )


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and len(value) <= 40


CHECKS: dict[str, Callable[[Any], bool]] = {
    "image_size": _is_size,
    "scale": _is_factor,
    "offset": _is_factor,
    "interpolation": _is_word,
    "antialias": is_bool,
    "crop_to_aspect_ratio": is_bool,
    "pad_to_aspect_ratio": is_bool,
    "bounding_box_format": _is_word,
}
