"""`InferenceConfig`: everything a preset stores about using its model, besides the weights."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_sam.transforms.mask_refiner import MaskRefiner
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing


@dataclass(frozen=True)
class MaskThresholds:
    """Thresholds of automatic mask generation. Defaults to those of Meta's generator.

    Attributes:
        pred_iou_thresh: Minimum predicted IoU of a mask, in [0, 1].
        stability_score_thresh: Minimum stability score of a mask, in [0, 1].

    Raises:
        ValueError: If a threshold is not a number in [0, 1].
    """

    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 0 <= value <= 1:  # NaN fails the comparison
                raise ValueError(f"{name} must be a number in [0, 1], got {value!r}")
            object.__setattr__(self, name, float(value))


@dataclass(frozen=True)
class InferenceConfig:
    """Settings that belong to a model's weights. Defaults to those of Meta's SAM.

    Attributes:
        preprocessing: Preparation of images.
        postprocessing: Conversion of low-res logits to masks.
        mask_thresholds: Thresholds of automatic mask generation.
        mask_refiner: Refinement of coarse masks after the network, or `None`.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    mask_thresholds: MaskThresholds = field(default_factory=MaskThresholds)
    mask_refiner: MaskRefiner | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, value: Any) -> "InferenceConfig":
        """Parse the output of `to_dict`. Missing sections and fields get their defaults.

        Raises:
            ValueError: If a section, field or value is unknown.
        """
        sections = {
            "preprocessing": Preprocessing,
            "postprocessing": Postprocessing,
            "mask_thresholds": MaskThresholds,
            "mask_refiner": MaskRefiner,
        }
        given = _check_fields(value, sections, "the inference config")
        return cls(
            **{
                name: sections[name](**_check_fields(fields, _field_names(sections[name]), name))
                for name, fields in given.items()
                if fields is not None
            }
        )


# bowang-lab/MedSAM, MedSAM_Inference.py
NAMED_CONFIGS = {
    "sam": InferenceConfig(),
    "medsam": InferenceConfig(
        Preprocessing(resize="stretch", interpolation="bicubic", normalization="min_max"),
        Postprocessing(upsample_in="probabilities"),
    ),
}


def parse_inference_config(value: Any) -> InferenceConfig:
    """Convert inference settings of any accepted type to an `InferenceConfig`.

    Args:
        value: "sam", "medsam", an `InferenceConfig`, a dictionary of its sections, or `None` for
            SAM's settings.

    Raises:
        ValueError: If the value is none of these, or a section, field or value is unknown.
    """
    if value is None:
        return InferenceConfig()
    if isinstance(value, InferenceConfig):
        return value
    if isinstance(value, str):
        if value not in NAMED_CONFIGS:
            raise ValueError(
                f"inference settings must be one of {', '.join(NAMED_CONFIGS)}, got {value!r}"
            )
        return NAMED_CONFIGS[value]
    return InferenceConfig.from_dict(value)


def describe_inference_config(config: InferenceConfig) -> str:
    """Describe settings for people: by name, or else by the fields that differ from SAM's."""
    for name, known in NAMED_CONFIGS.items():
        if config == known:
            return name
    defaults = InferenceConfig(mask_refiner=MaskRefiner()).to_dict()
    changed = [
        f"{name} {value}"
        for section, fields in config.to_dict().items()
        for name, value in (fields or {}).items()
        if value != defaults[section][name]
    ]
    return ", ".join(changed) or "sam"  # a refiner without options changes nothing


def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _check_fields(value: Any, known: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be an object with {', '.join(known)}, got {value!r:.80}")
    if unknown := sorted(set(map(str, value)) - set(known)):
        raise ValueError(f"{what} has unknown fields {unknown!r:.80}; known are {', '.join(known)}")
    return value
