"""`Canvas`: an image and its masks while objects are painted."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.scenes.surfaces import paste

SHADOW_PROBABILITY = 0.5  # of an object


class Canvas:
    """A square image and its masks.

    Attributes:
        size: Side `S` of the image in pixels.
        image: RGB image `(S, S, 3)`, float, about 0 to 1.
        masks: Boolean masks `(S, S)`.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = np.zeros((size, size, 3), np.float32)
        self.masks: list[np.ndarray] = []

    def paint(
        self,
        mask: np.ndarray,
        colors: np.ndarray,
        *,
        rng: np.random.Generator,
        parts: Sequence[np.ndarray] = (),
    ) -> None:
        """Paint an object in front of all others. Their masks lose its pixels.

        Args:
            mask: Mask of the object `(S, S)`.
            colors: Colors of the object `(S, S, 3)`; used inside the mask.
            rng: Random number generator.
            parts: Masks of the object's parts, which become masks of the scene too.
        """
        if rng.random() < SHADOW_PROBABILITY:
            self._cast_shadow(mask, rng)
        self.image = paste(self.image, mask, colors)
        for other in self.masks:
            other &= ~mask
        self.masks.append(mask.copy())
        self.masks.extend(part & mask for part in parts)

    def _cast_shadow(self, mask: np.ndarray, rng: np.random.Generator) -> None:
        shift = rng.integers(-self.size // 12, self.size // 12 + 1, 2)
        shadow = Image.fromarray((np.roll(mask, shift, (0, 1)) * 255).astype(np.uint8))
        blur = ImageFilter.GaussianBlur(1 + self.size / 64 * rng.random())
        opacity = np.asarray(shadow.filter(blur), np.float32) / 255
        self.image *= 1 - (0.15 + 0.4 * rng.random()) * opacity[..., None]
