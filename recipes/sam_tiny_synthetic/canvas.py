"""`Canvas`: a picture and its masks while they are painted."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from recipes.sam_tiny_synthetic.surfaces import soft_edge


class Canvas:
    """The picture so far; painting an object takes its pixels from those behind it."""

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
        """Paints an object; `parts` are masks within it that are kept too."""
        if rng.random() < 0.5:
            self._shadow(mask, rng)
        alpha = soft_edge(mask)[..., None]
        self.image = self.image * (1 - alpha) + colors * alpha
        for other in self.masks:
            other &= ~mask
        self.masks.append(mask.copy())
        for part in parts:
            self.masks.append(part & mask)

    def _shadow(self, mask: np.ndarray, rng: np.random.Generator) -> None:
        shift = rng.integers(-self.size // 12, self.size // 12 + 1, 2)
        shadow = np.roll(mask, shift, (0, 1))
        soft = (
            np.asarray(
                Image.fromarray((shadow * 255).astype(np.uint8)).filter(
                    ImageFilter.GaussianBlur(1 + self.size / 64 * rng.random())
                ),
                np.float32,
            )
            / 255
        )
        self.image *= 1 - (0.15 + 0.4 * rng.random()) * soft[..., None]
