"""`Postprocessing`: how low-res logits become masks of the original image."""

from dataclasses import dataclass

from keras_sam.transforms.validate_choices import validate_choices

CHOICES = {"upsample_in": ("logits", "probabilities")}


@dataclass(frozen=True)
class Postprocessing:
    """Upsampling of low-res logits to the original size. Defaults to SAM's.

    Attributes:
        upsample_in: Quantity that is interpolated, "logits" or "probabilities". Mask boundaries
            differ by fractions of a low-res pixel.

    Raises:
        ValueError: If a value is not one of the choices.
    """

    upsample_in: str = "logits"

    def __post_init__(self) -> None:
        validate_choices(self, CHOICES)
