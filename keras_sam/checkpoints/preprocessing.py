"""`parse_preprocessing`: how images are prepared for a model, as checked plain values.

What the values mean is told by `keras_sam.transforms.preprocessing.Preprocessing`, which has the same fields.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import truncate
from keras_sam.checkpoints.validate_fields import validate_fields

CHOICES = {
    "resize": ("longest_side", "stretch"),
    "interpolation": ("bilinear", "bicubic"),
    "normalization": ("imagenet", "unit", "min_max"),
    "upscaled": ("logits", "probabilities"),
    "box_masks": ("free", "inside", "fitted"),
    "outlines": ("model", "image"),
}
SAM: dict[str, Any] = {name: choices[0] for name, choices in CHOICES.items()} | {"ratings": None}
MEDSAM = SAM | {
    "resize": "stretch",
    "interpolation": "bicubic",
    "normalization": "min_max",
    "upscaled": "probabilities",
}
NAMED = {"sam": SAM, "medsam": MEDSAM}
# Mean and standard deviation of ImageNet, for pixels in 0..1.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def parse_preprocessing(value: Any, *, source: str) -> dict[str, Any]:
    """The fields of a `Preprocessing`, each present.

    Args:
        value: "sam" or "medsam", a dictionary of fields, or a `Preprocessing`; `None` and fields
            that are left out are SAM's.
        source: where it comes from, for messages.

    Raises:
        CheckpointError: for another name, field or value.
    """
    if isinstance(value, str) and value in NAMED:
        return dict(NAMED[value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    given = validate_fields(
        value,
        SAM,
        what=f"the preprocessing of '{source}'",
        expected=f"{' or '.join(NAMED)}, or the fields {', '.join(SAM)}",
    )
    found = SAM | dict(given)
    for name, choices in CHOICES.items():
        choice = found[name]
        if not isinstance(choice, str) or choice not in choices:
            raise CheckpointError(
                f"the preprocessing of '{source}' has {name}={truncate(choice)}; expected "
                f"{' or '.join(choices)}"
            )
    found["ratings"] = _parse_ratings(found["ratings"], found["outlines"], source=source)
    return found


def _parse_ratings(value: Any, outlines: str, *, source: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    is_triple = isinstance(value, list | tuple) and len(value) == 3
    if not is_triple or not all(map(_is_number, value)):
        raise CheckpointError(
            f"the preprocessing of '{source}' has ratings={truncate(value)}; expected null or "
            "three numbers"
        )
    if outlines == "model":
        raise CheckpointError(
            f"the preprocessing of '{source}' has ratings={truncate(value)} of outlines that are "
            "moved, and outlines=model, which moves none"
        )
    return tuple(map(float, value))


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e6


def describe_preprocessing(fields: Mapping[str, Any]) -> str:
    """Its name, if it has one, and its fields, for people to read."""
    listed = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    names = [name for name, known in NAMED.items() if known == dict(fields)]
    return f"{names[0]} ({listed})" if names else listed
