"""`parse_preprocessing`: how images are prepared for a model, as checked plain values.

What the values mean is told by `keras_sam.geometry.Preprocessing`, which has the same fields.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_config import shortened
from keras_sam.checkpoints.known_fields import known_fields

CHOICES = {
    "resize": ("longest_side", "stretch"),
    "interpolation": ("bilinear", "bicubic"),
    "normalisation": ("imagenet", "unit", "min_max"),
    "upscaled": ("logits", "probabilities"),
    "box_masks": ("free", "inside"),
    "outlines": ("model", "image"),
}
SAM = {name: choices[0] for name, choices in CHOICES.items()}
MEDSAM = SAM | {
    "resize": "stretch",
    "interpolation": "bicubic",
    "normalisation": "min_max",
    "upscaled": "probabilities",
}
NAMED = {"sam": SAM, "medsam": MEDSAM}
# Mean and standard deviation of ImageNet, for pixels in 0..1.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def parse_preprocessing(value: Any, *, source: str) -> dict[str, str]:
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
    given = known_fields(
        value,
        CHOICES,
        what=f"the preprocessing of '{source}'",
        expected=f"{' or '.join(NAMED)}, or the fields {', '.join(CHOICES)}",
    )
    for name, choice in given.items():
        if not isinstance(choice, str) or choice not in CHOICES[name]:
            raise CheckpointError(
                f"the preprocessing of '{source}' has {name}={shortened(choice)}; expected "
                f"{' or '.join(CHOICES[name])}"
            )
    return SAM | dict(given)


def describe_preprocessing(fields: Mapping[str, str]) -> str:
    """Its name, if it has one, and its fields, for people to read."""
    listed = ", ".join(f"{name} {value}" for name, value in fields.items())
    names = [name for name, known in NAMED.items() if known == dict(fields)]
    return f"{names[0]} ({listed})" if names else listed
