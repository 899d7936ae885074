"""`Preprocessing`: how a model wants its images prepared, and its masks brought back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# Mean and standard deviation of ImageNet, for pixels in 0..1. The model takes pixels in 0..1,
# subtracts the one and divides by the other: what becomes of PIXEL_MEAN there is zero.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

CHOICES = {
    "resize": ("longest_side", "stretch"),
    "interpolation": ("bilinear", "bicubic"),
    "normalisation": ("imagenet", "unit", "min_max"),
    "upscaled": ("logits", "probabilities"),
    "box_masks": ("free", "inside", "fitted"),
    "outlines": ("model", "image"),
}
# Pillow's filters, which are antialiased.
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image on its way to the model, and to masks on their way back.

    The defaults are SAM's.

    Attributes:
        resize: "longest_side" keeps the image's proportions, and pads; "stretch" fills the model
            frame.
        interpolation: "bilinear" or "bicubic", Pillow's, of uint8 pixels, with antialiasing.
            MedSAM's own code resizes with scikit-image, by cubic splines after a Gaussian blur,
            and rounds down: "bicubic" is near, within about a grey level on photographs, but not
            bit for bit.
        normalisation: what the network sees. "imagenet": pixels in 0..1, less ImageNet's mean,
            over its standard deviation. "unit": pixels in 0..1. "min_max": the least pixel of the
            resized image is 0 and the greatest 1.
        upscaled: what is interpolated when masks go back to the original's size, "logits" or
            "probabilities"; outlines differ by fractions of a low-res pixel.
        box_masks: where the masks of a box may lie. "free" leaves it to the model; "inside" ends
            them at the box, for models too small to see well where it ends; "fitted" has them reach
            its sides as well (`reach_box`), for boxes that are drawn close.
        outlines: "model" takes masks as the model gives them; "image" moves their outlines to the
            image's edges nearby (`OutlineGuide`), for models whose own are coarse.
        ratings: how masks are rated whose outlines were moved. `None` leaves it to the model;
            `(a, b, c)` rates by `a * the model's rating + b * support + c`, within 0 to 1, where
            the support is `OutlinedMask`'s. The three belong to a model's weights.

    Raises:
        ValueError: for anything else, or ratings where no outlines are moved.
    """

    resize: str = "longest_side"
    interpolation: str = "bilinear"
    normalisation: str = "imagenet"
    upscaled: str = "logits"
    box_masks: str = "free"
    outlines: str = "model"
    ratings: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {value!r}")
        if self.ratings is None:
            return
        if not _are_ratings(self.ratings):
            raise ValueError(f"ratings must be None or three numbers, got {self.ratings!r}")
        if self.outlines == "model":
            raise ValueError('ratings need outlines="image": they rate outlines that were moved')
        object.__setattr__(self, "ratings", tuple(map(float, self.ratings)))

    def rating(self, of_model: float, support: float | None) -> float:
        """The estimate of a mask's IoU, 0 to 1; the model's where its outline was not moved."""
        if self.ratings is None or support is None:
            return of_model
        by_model, by_support, constant = self.ratings
        return min(1.0, max(0.0, by_model * of_model + by_support * support + constant))

    def resized(self, pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Pixels `(H, W, 3)` uint8 as `(*size, 3)` uint8; `size` is `(height, width)`."""
        if pixels.shape[:2] == tuple(size):
            return pixels
        picture = Image.fromarray(pixels).resize(size[::-1], FILTERS[self.interpolation])
        return np.asarray(picture)

    def to_model_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Resized pixels `(h, w, 3)` uint8 as the model takes them, float32.

        Where the network is not to see ImageNet's normalisation, it is undone beforehand.
        """
        if self.normalisation == "imagenet":
            return pixels / np.float32(255)
        if self.normalisation == "unit":
            seen = pixels / np.float32(255)
        else:
            low, high = pixels.min(), pixels.max()
            seen = (pixels - low) / np.float32(max(1, high - low))  # one colour alone becomes 0
        return seen * np.array(PIXEL_STD, np.float32) + np.array(PIXEL_MEAN, np.float32)


def _are_ratings(value: Any) -> bool:
    """Whether a value is three numbers."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(
            isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e6
            for one in value
        )
    )


SAM = Preprocessing()
# bowang-lab/MedSAM, MedSAM_Inference.py
MEDSAM = Preprocessing(
    resize="stretch",
    interpolation="bicubic",
    normalisation="min_max",
    upscaled="probabilities",
)
