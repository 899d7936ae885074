"""`Preprocessing`: how a model wants its images prepared, and its masks brought back."""

from dataclasses import dataclass, fields

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
    "box_masks": ("free", "inside"),
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
            them at the box, for models too small to see well where it ends.
        outlines: "model" takes masks as the model gives them; "image" moves their outlines to the
            image's edges nearby (`OutlineGuide`), for models whose own are coarse.

    Raises:
        ValueError: for anything else.
    """

    resize: str = "longest_side"
    interpolation: str = "bilinear"
    normalisation: str = "imagenet"
    upscaled: str = "logits"
    box_masks: str = "free"
    outlines: str = "model"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, choices = getattr(self, field.name), CHOICES[field.name]
            if not isinstance(value, str) or value not in choices:
                raise ValueError(f"{field.name} must be one of {choices}, got {value!r}")

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


SAM = Preprocessing()
# bowang-lab/MedSAM, MedSAM_Inference.py
MEDSAM = Preprocessing(
    resize="stretch",
    interpolation="bicubic",
    normalisation="min_max",
    upscaled="probabilities",
)
