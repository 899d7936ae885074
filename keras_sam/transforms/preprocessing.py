"""`Preprocessing`: how images are prepared for a model."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from keras_sam.transforms.validate_choices import validate_choices
from keras_sam.types import Size

# Mean and standard deviation of ImageNet, for pixels in [0, 1]. The model takes pixels in [0, 1]
# and normalizes them itself, so a pixel of PIXEL_MEAN becomes zero.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)

CHOICES = {
    "resize": ("longest_side", "stretch"),
    "interpolation": ("bilinear", "bicubic"),
    "normalization": ("imagenet", "unit", "min_max"),
}
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """Resizing and normalization of an image before the image encoder. Defaults to SAM's.

    Attributes:
        resize: If "longest_side", the image keeps its aspect ratio and is padded at the right
            and at the bottom. If "stretch", it fills the model frame.
        interpolation: "bilinear" or "bicubic", computed by Pillow on uint8 pixels with
            antialiasing. MedSAM resizes with scikit-image, by cubic splines after a Gaussian
            blur; "bicubic" is within about one gray level of that on photographs.
        normalization: Normalization that the network expects. "imagenet" subtracts ImageNet's
            mean from pixels in [0, 1] and divides by its standard deviation. "unit" leaves
            pixels in [0, 1]. "min_max" maps the smallest pixel value of the resized image to 0
            and the largest to 1.

    Raises:
        ValueError: If a value is not one of the choices.
    """

    resize: str = "longest_side"
    interpolation: str = "bilinear"
    normalization: str = "imagenet"

    def __post_init__(self) -> None:
        validate_choices(self, CHOICES)

    def resize_image(self, pixels: np.ndarray, size: Size) -> np.ndarray:
        """Resize uint8 pixels `(H, W, 3)` to `(*size, 3)`."""
        if pixels.shape[:2] == tuple(size):
            return pixels
        image = Image.fromarray(pixels).resize(size[::-1], FILTERS[self.interpolation])
        return np.asarray(image)

    def to_model_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Convert resized uint8 pixels `(h, w, 3)` to the float32 values that the model takes.

        The model applies ImageNet's normalization to its inputs. Other normalizations are
        computed here, and ImageNet's is undone in advance.
        """
        if self.normalization == "imagenet":
            return pixels / np.float32(255)
        if self.normalization == "unit":
            values = pixels / np.float32(255)
        else:
            low, high = pixels.min(), pixels.max()
            values = (pixels - low) / np.float32(max(1, high - low))  # a constant image becomes 0
        return values * np.array(PIXEL_STD, np.float32) + np.array(PIXEL_MEAN, np.float32)
