"""`ModelFrame`: the way of an image into the model's frame, and of masks back."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

# ImageNet's mean colour. The model subtracts it, so padding with it equals zeros after that.
MEAN_COLOUR = (0.485, 0.456, 0.406)


@dataclass(frozen=True)
class ModelFrame:
    """Original pixels to the model's frame and back, as Meta's `ResizeLongestSide`.

    The image is resized, sides in proportion, to the largest size that fits `image_size`, and
    padded right and bottom.

    Attributes:
        original_size: `(height, width)` of the image.
        image_size: `(height, width)` of what the model takes.
    """

    original_size: tuple[int, int]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("original_size", "image_size"):
            size = tuple(getattr(self, name))
            if len(size) != 2 or min(size) < 1:
                raise ValueError(f"{name} must be a (height, width) of at least 1, got {size}")
            object.__setattr__(self, name, (int(size[0]), int(size[1])))

    @cached_property
    def input_size(self) -> tuple[int, int]:
        """`(height, width)` of the resized image, without its padding."""
        height, width = self.original_size
        scale = min(self.image_size[0] / height, self.image_size[1] / width)
        # At least 1: an image thinner than the ratio would vanish.
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def to_model_image(self, image: np.ndarray) -> np.ndarray:
        """An image as the model takes it.

        Args:
            image: `(H, W, 3)` uint8 RGB of `original_size`.

        Returns:
            `(image height, image width, 3)` float32 in 0..1, padded with the mean colour.

        Raises:
            ValueError: for another shape or dtype.
        """
        if image.shape != (*self.original_size, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"expected a uint8 image of shape {(*self.original_size, 3)}, got "
                f"{image.dtype} {image.shape}"
            )
        height, width = self.input_size
        if (height, width) != self.original_size:
            resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
            image = np.asarray(resized)
        padded = np.empty((*self.image_size, 3), np.float32)
        padded[:] = MEAN_COLOUR
        padded[:height, :width] = image / np.float32(255)
        return padded

    def to_model_points(self, points: np.ndarray) -> np.ndarray:
        """Points `(..., 2)` (x, y) of the original to float32 points of the model frame."""
        return (np.asarray(points, np.float64) * self._factors).astype(np.float32)

    def to_original_points(self, points: np.ndarray) -> np.ndarray:
        """Points `(..., 2)` (x, y) of the model frame to float32 points of the original."""
        return (np.asarray(points, np.float64) / self._factors).astype(np.float32)

    def to_model_boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes `(..., 4)` XYXY of the original to float32 boxes of the model frame."""
        boxes = np.asarray(boxes)
        return self.to_model_points(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    def to_original_boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes `(..., 4)` XYXY of the model frame to float32 boxes of the original."""
        boxes = np.asarray(boxes)
        return self.to_original_points(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    def to_original_logits(self, low_res_logits: np.ndarray) -> np.ndarray:
        """Low-res logits `(..., L, L)` to float32 logits `(..., H, W)` of the original.

        Equal to Meta's `postprocess_masks`: bilinear to `image_size`, crop to `input_size`,
        bilinear to `original_size`. All three are linear and separable, so that together they
        are one matrix for each axis.
        """
        logits = np.asarray(low_res_logits, np.float32)
        rows, columns = self._axis_matrices(logits.shape[-2:])
        if rows.shape[0] * logits.shape[-1] <= columns.shape[0] * logits.shape[-2]:
            return (rows @ logits) @ columns.T
        return rows @ (logits @ columns.T)

    def to_original_masks(
        self, low_res_logits: np.ndarray, *, threshold: float = 0.0
    ) -> np.ndarray:
        """Low-res logits `(..., L, L)` to boolean masks `(..., H, W)`: logits over a threshold.

        Holds the float logits of one mask at a time.
        """
        logits = np.asarray(low_res_logits, np.float32)
        masks = np.empty((*logits.shape[:-2], *self.original_size), bool)
        for index in np.ndindex(*logits.shape[:-2]):
            masks[index] = self.to_original_logits(logits[index]) > threshold
        return masks

    @cached_property
    def _factors(self) -> np.ndarray:
        (height, width), (new_height, new_width) = self.original_size, self.input_size
        return np.array([new_width / width, new_height / height])

    def _axis_matrices(self, low_res_size: tuple[int, ...]) -> list[np.ndarray]:
        """`(H, L)` and `(W, L)` float32, kept for the next masks."""
        cache = self.__dict__.setdefault("_matrices", {})
        if low_res_size not in cache:
            cache[low_res_size] = [
                _interpolation(inside, original)
                @ _interpolation(low_res, padded)[:inside]  # the crop
                for low_res, padded, inside, original in zip(
                    low_res_size, self.image_size, self.input_size, self.original_size, strict=True
                )
            ]
            cache[low_res_size] = [matrix.astype(np.float32) for matrix in cache[low_res_size]]
        return cache[low_res_size]


def _interpolation(size: int, new_size: int) -> np.ndarray:
    """The matrix `(new_size, size)` of bilinear interpolation between pixel centres."""
    places = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    places = np.clip(places, 0, size - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    matrix = np.zeros((new_size, size))
    rows = np.arange(new_size)
    np.add.at(matrix, (rows, low), 1 - (places - low))
    np.add.at(matrix, (rows, high), places - low)
    return matrix
