"""`preprocessor_config`: how transformers is told to prepare images; and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import truncate
from keras_sam.checkpoints.preprocessing import PIXEL_MEAN, PIXEL_STD, SAM

FILTERS = {"bilinear": 2, "bicubic": 3}  # Pillow's numbers
TOLERANCE = 1e-5  # of numbers that some round
LARGEST_NUMBER = 1e6  # of a mean, a deviation or a factor
# Settings that other values would make another pipeline, with what they must be.
FIXED = {"do_resize": True, "do_rescale": True, "do_center_crop": False}
FLAT = ((0.0,) * 3, (1.0,) * 3)  # a mean and a standard deviation that change nothing


def preprocessor_config(
    *, image_size: Sequence[int], low_res: int, preprocessing: Mapping[str, str]
) -> dict[str, Any]:
    """The `preprocessor_config.json` that comes nearest to a preprocessing.

    transformers has no minimum and maximum of an image, and upscales logits alone: `min_max`
    becomes `unit`. It stretches with the image processor of SAM 2 only.

    Args:
        image_size: `(height, width)`; a square, unless images are stretched.
        low_res: side of the low-res grid.
        preprocessing: as `parse_preprocessing` gives it.
    """
    height, width = image_size
    is_normalized = preprocessing["normalization"] == "imagenet"
    common = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": FILTERS[preprocessing["interpolation"]],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": is_normalized,
        "image_mean": list(PIXEL_MEAN),
        "image_std": list(PIXEL_STD),
    }
    if preprocessing["resize"] == "stretch":
        return common | {
            "image_processor_type": "Sam2ImageProcessor",
            "processor_class": "Sam2Processor",
            "size": {"height": height, "width": width},
            "mask_size": {"height": low_res, "width": low_res},
        }
    return common | {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamProcessor",
        "size": {"longest_edge": height},
        "mask_size": {"longest_edge": low_res},
        "do_pad": True,
        "pad_size": {"height": height, "width": width},
        "mask_pad_size": {"height": low_res, "width": low_res},
    }


def parse_preprocessor_config(
    contents: Any, *, image_size: Sequence[int], source: str
) -> dict[str, Any]:
    """The preprocessing that a `preprocessor_config.json` of transformers tells.

    Keys that are left out or null have the values of SAM; those that change no result are not
    looked at.

    Args:
        contents: the parsed JSON.
        image_size: `(height, width)` of the model.
        source: the preset, for messages.

    Raises:
        CheckpointError: for a value that is damaged, or that makes another pipeline.
    """
    if not isinstance(contents, dict):
        raise CheckpointError(f"the preprocessor_config.json of '{source}' must be a JSON object")
    given = {key: value for key, value in contents.items() if value is not None}
    for key, expected in FIXED.items():
        if given.get(key, expected) is not expected:
            raise _unsupported(given, key, expected, source)
    if not _is_close(given.get("rescale_factor", 1 / 255), 1 / 255):
        raise _unsupported(given, "rescale_factor", 1 / 255, source)
    filters = {number: name for name, number in FILTERS.items()}
    resample = given.get("resample", FILTERS["bilinear"])
    if type(resample) is not int or resample not in filters:
        raise _unsupported(given, "resample", "2 (bilinear) or 3 (bicubic)", source)
    return SAM | {
        "resize": _resize(given, image_size, source),
        "interpolation": filters[resample],
        "normalization": _normalization(given, source),
    }


def _resize(given: dict[str, Any], image_size: Sequence[int], source: str) -> str:
    height, width = image_size
    longest, whole = {"longest_edge": max(image_size)}, {"height": height, "width": width}
    size = given.get("size", longest)
    if type(size) is int:  # as the first processors had it
        size = {"longest_edge": size}
    if isinstance(size, dict):
        size = {name: side for name, side in size.items() if side is not None}
    if size == longest:
        return "longest_side"
    if size == whole:
        return "stretch"
    raise _unsupported(given, "size", f"{longest} or {whole}", source)


def _normalization(given: dict[str, Any], source: str) -> str:
    is_normalized = given.get("do_normalize", True)
    if not isinstance(is_normalized, bool):
        raise _unsupported(given, "do_normalize", "true or false", source)
    if not is_normalized:
        return "unit"
    mean, std = given.get("image_mean", PIXEL_MEAN), given.get("image_std", PIXEL_STD)
    for name, known in (("imagenet", (PIXEL_MEAN, PIXEL_STD)), ("unit", FLAT)):
        if _are_close(mean, known[0]):
            if not _are_close(std, known[1]):
                raise _unsupported(given, "image_std", list(known[1]), source)
            return name
    raise _unsupported(given, "image_mean", list(PIXEL_MEAN), source)


def _are_close(values: Any, expected: Sequence[float]) -> bool:
    channels = values if isinstance(values, list | tuple) else [values] * len(expected)
    return len(channels) == len(expected) and all(map(_is_close, channels, expected))


def _is_close(value: Any, expected: float) -> bool:
    is_number = type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
    return is_number and abs(value - expected) <= TOLERANCE


def _unsupported(given: dict[str, Any], key: str, expected: Any, source: str) -> CheckpointError:
    value = truncate(given[key]) if key in given else "nothing"
    return CheckpointError(
        f"the preprocessor_config.json of '{source}' has {key}={value}; supported is {expected}. "
        "Give the preprocessing, sam or medsam, to load the model without this file"
    )
