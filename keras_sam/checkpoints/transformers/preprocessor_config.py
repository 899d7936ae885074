"""`build_preprocessor_config` and its inverse: preprocessing as transformers stores it."""

from collections.abc import Sequence
from typing import Any

from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD, Preprocessing

PREPROCESSOR_CONFIG = "preprocessor_config.json"
FILTERS = {"bilinear": 2, "bicubic": 3}  # the numbers of Pillow
TOLERANCE = 1e-5  # some files have rounded numbers
MAX_NUMBER = 1e6  # limit of means, deviations and factors
# Settings with which any other value would be another pipeline.
FIXED = {"do_resize": True, "do_rescale": True, "do_center_crop": False}
IDENTITY = ((0.0,) * 3, (1.0,) * 3)  # a mean and a standard deviation that change nothing


def build_preprocessor_config(
    preprocessing: Preprocessing,
    *,
    image_size: Sequence[int],
    low_res_size: int,
    is_high_quality: bool = False,
) -> dict[str, Any]:
    """Return the `preprocessor_config.json` that is nearest to a preprocessing.

    transformers does not normalize by the minimum and maximum of an image: "min_max" is written
    as "unit". It stretches images only with the image processor of SAM 2.

    Args:
        preprocessing: Preprocessing of the model.
        image_size: `(height, width)` of the model frame. A square, unless images are stretched.
        low_res_size: Side of the low-res grid.
        is_high_quality: If True, the model is SAM-HQ.
    """
    height, width = image_size
    common = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": FILTERS[preprocessing.interpolation],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": preprocessing.normalization == "imagenet",
        "image_mean": list(PIXEL_MEAN),
        "image_std": list(PIXEL_STD),
    }
    if preprocessing.resize == "stretch":
        return common | {
            "image_processor_type": "Sam2ImageProcessor",
            "processor_class": "Sam2Processor",
            "size": {"height": height, "width": width},
            "mask_size": {"height": low_res_size, "width": low_res_size},
        }
    return common | {
        "image_processor_type": "SamImageProcessor",
        "processor_class": "SamHQProcessor" if is_high_quality else "SamProcessor",
        "size": {"longest_edge": height},
        "mask_size": {"longest_edge": low_res_size},
        "do_pad": True,
        "pad_size": {"height": height, "width": width},
        "mask_pad_size": {"height": low_res_size, "width": low_res_size},
    }


def parse_preprocessor_config(
    contents: Any, *, image_size: Sequence[int], source: str
) -> Preprocessing:
    """Return the preprocessing that a `preprocessor_config.json` describes.

    Keys that are missing or null have SAM's values. Keys that change no result are ignored.

    Args:
        contents: Contents of the file.
        image_size: `(height, width)` of the model frame.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If a value is damaged, or describes another pipeline.
    """
    if not isinstance(contents, dict):
        raise CheckpointError(f"the {PREPROCESSOR_CONFIG} of '{source}' must be a JSON object")
    settings = {key: value for key, value in contents.items() if value is not None}
    for key, expected in FIXED.items():
        if settings.get(key, expected) is not expected:
            raise _unsupported(settings, key, expected, source)
    if not _is_close(settings.get("rescale_factor", 1 / 255), 1 / 255):
        raise _unsupported(settings, "rescale_factor", 1 / 255, source)
    filters = {number: name for name, number in FILTERS.items()}
    resample = settings.get("resample", FILTERS["bilinear"])
    if type(resample) is not int or resample not in filters:
        raise _unsupported(settings, "resample", "2 (bilinear) or 3 (bicubic)", source)
    return Preprocessing(
        resize=_parse_resize(settings, image_size, source),
        interpolation=filters[resample],
        normalization=_parse_normalization(settings, source),
    )


def _parse_resize(settings: dict[str, Any], image_size: Sequence[int], source: str) -> str:
    height, width = image_size
    longest, whole = {"longest_edge": max(image_size)}, {"height": height, "width": width}
    size = settings.get("size", longest)
    if type(size) is int:  # the format of the first image processors
        size = {"longest_edge": size}
    if isinstance(size, dict):
        size = {name: side for name, side in size.items() if side is not None}
    if size == longest:
        return "longest_side"
    if size == whole:
        return "stretch"
    raise _unsupported(settings, "size", f"{longest} or {whole}", source)


def _parse_normalization(settings: dict[str, Any], source: str) -> str:
    do_normalize = settings.get("do_normalize", True)
    if not isinstance(do_normalize, bool):
        raise _unsupported(settings, "do_normalize", "true or false", source)
    if not do_normalize:
        return "unit"
    mean, std = settings.get("image_mean", PIXEL_MEAN), settings.get("image_std", PIXEL_STD)
    for name, known in (("imagenet", (PIXEL_MEAN, PIXEL_STD)), ("unit", IDENTITY)):
        if _are_close(mean, known[0]):
            if not _are_close(std, known[1]):
                raise _unsupported(settings, "image_std", list(known[1]), source)
            return name
    raise _unsupported(settings, "image_mean", list(PIXEL_MEAN), source)


def _are_close(values: Any, expected: Sequence[float]) -> bool:
    channels = values if isinstance(values, list | tuple) else [values] * len(expected)
    return len(channels) == len(expected) and all(map(_is_close, channels, expected))


def _is_close(value: Any, expected: float) -> bool:
    is_number = type(value) in (int, float) and abs(value) <= MAX_NUMBER
    return is_number and abs(value - expected) <= TOLERANCE


def _unsupported(settings: dict[str, Any], key: str, expected: Any, source: str) -> CheckpointError:
    value = truncate(settings[key]) if key in settings else "nothing"
    return CheckpointError(
        f"the {PREPROCESSOR_CONFIG} of '{source}' has {key}={value}; supported is {expected}. "
        "To ignore the file, give an inference config such as 'sam' or 'medsam'"
    )
