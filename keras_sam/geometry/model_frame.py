"""`ModelFrame`: between a user's pixels and the model's."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

# ImageNet's mean in 0..1: padding of this colour is zero once the model has normalised it.
PIXEL_MEAN = (0.485, 0.456, 0.406)


@dataclass(frozen=True)
class ModelFrame:
    """Where an image lies in the model's frame: scaled to fit, top left, padded to the rest.

    Attributes:
        original_size: `(height, width)` of the user's image.
        image_size: `(height, width)` of the model frame.
    """

    original_size: tuple[int, int]
    image_size: tuple[int, int]

    @property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of the image once scaled: its longest side fits, rounded."""
        height, width = self.original_size
        scale = min(self.image_size[0] / height, self.image_size[1] / width)
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def image_to_model(self, image: np.ndarray) -> np.ndarray:
        """Scales and pads an image as SAM does.

        Pillow's antialiased bilinear filter on uint8; then padding, right and bottom, of the
        mean colour, which the model's normalisation turns to zero.

        Args:
            image: `(H, W, 3)` uint8.

        Returns:
            `(height, width, 3)` float32 in 0..1.
        """
        height, width = self.input_size
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        padded = np.empty((*self.image_size, 3), np.float32)
        padded[:] = PIXEL_MEAN
        padded[:height, :width] = np.asarray(resized, np.float32) / 255.0
        return padded

    def coords_to_model(self, coords: np.ndarray) -> np.ndarray:
        """Pixels (x, y) of the image, `(..., 2)`, to pixels of the model frame, float32."""
        return (np.asarray(coords, np.float64) * self._factors()).astype(np.float32)

    def coords_to_original(self, coords: np.ndarray) -> np.ndarray:
        """Pixels (x, y) of the model frame, `(..., 2)`, to pixels of the image, float32."""
        return (np.asarray(coords, np.float64) / self._factors()).astype(np.float32)

    def logits_to_original(self, low_res_logits: np.ndarray) -> np.ndarray:
        """Scales logits up to the image.

        As SAM does: bilinear to the model frame, cut to `input_size`, bilinear to the image.
        Each step is linear and separable, so both are one matrix for rows and one for columns.

        Args:
            low_res_logits: `(..., L, L)`.

        Returns:
            `(..., H, W)` float32.
        """
        rows = _rows_of_two_resizes(
            low_res_logits.shape[-2], self.image_size[0], self.input_size[0], self.original_size[0]
        )
        columns = _rows_of_two_resizes(
            low_res_logits.shape[-1], self.image_size[1], self.input_size[1], self.original_size[1]
        )
        return rows @ (np.asarray(low_res_logits, np.float32) @ columns.T)

    def masks_to_original(
        self, low_res_logits: np.ndarray, *, mask_threshold: float = 0.0
    ) -> np.ndarray:
        """`logits_to_original` cut at a threshold, `(..., H, W)` bool, one mask at a time."""
        leading = low_res_logits.shape[:-2]
        flat = low_res_logits.reshape(-1, *low_res_logits.shape[-2:])
        masks = np.empty((len(flat), *self.original_size), bool)
        for mask, logits in zip(masks, flat, strict=True):
            np.greater(self.logits_to_original(logits), mask_threshold, out=mask)
        return masks.reshape(*leading, *self.original_size)

    def _factors(self) -> np.ndarray:
        height, width = self.original_size
        new_height, new_width = self.input_size
        return np.array([new_width / width, new_height / height])


@lru_cache(maxsize=64)
def _rows_of_two_resizes(low_res: int, frame: int, kept: int, original: int) -> np.ndarray:
    """The matrix `(original, low_res)` of: resize to `frame`, keep `kept`, resize again."""
    matrix = bilinear_matrix(kept, original) @ bilinear_matrix(low_res, frame)[:kept]
    return matrix.astype(np.float32)


def bilinear_matrix(length: int, new_length: int) -> np.ndarray:
    """The matrix `(new_length, length)` of bilinear interpolation between pixel centres.

    Without antialiasing; positions beyond the first and last centre take their values.
    """
    positions = (np.arange(new_length) + 0.5) * (length / new_length) - 0.5
    positions = np.clip(positions, 0, length - 1)
    low = np.minimum(positions.astype(int), max(length - 2, 0))
    share = positions - low
    matrix = np.zeros((new_length, length))
    rows = np.arange(new_length)
    matrix[rows, low] += 1 - share
    matrix[rows, np.minimum(low + 1, length - 1)] += share
    return matrix
