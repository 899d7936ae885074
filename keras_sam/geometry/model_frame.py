"""`ModelFrame`: the way of an image into the model's frame, and of masks back."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_sam.geometry.is_size import is_size

# ImageNet's mean colour. The model subtracts it, so padding with it equals zeros after that.
MEAN_COLOUR = (0.485, 0.456, 0.406)
BAND_ROWS = 64  # whose logits stay in a processor's cache


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
            size = getattr(self, name)
            if not is_size(size):
                raise ValueError(
                    f"{name} must be (height, width), whole numbers of at least 1, got {size!r}"
                )
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
            TypeError: if it is not an array.
            ValueError: for another shape or dtype.
        """
        if not isinstance(image, np.ndarray):
            raise TypeError(f"image must be an array, got {type(image).__name__}")
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
        bilinear to `original_size`.

        Raises:
            ValueError: for fewer than two axes, or an empty one.
        """
        stretched, bands = self._stretch(low_res_logits)
        logits = np.empty((*stretched.shape[:-2], *self.original_size), np.float32)
        for band in bands:
            logits[..., band.rows, :] = band.weights @ stretched[..., band.sources, :]
        return logits

    def to_original_masks(
        self, low_res_logits: np.ndarray, *, threshold: float = 0.0
    ) -> np.ndarray:
        """Low-res logits `(..., L, L)` to boolean masks `(..., H, W)`: logits over a threshold.

        Holds the float logits of a few rows at a time.

        Raises:
            ValueError: as `to_original_logits`.
        """
        stretched, bands = self._stretch(low_res_logits)
        masks = np.empty((*stretched.shape[:-2], *self.original_size), bool)
        for index in np.ndindex(*stretched.shape[:-2]):
            for band in bands:
                rows = band.weights @ stretched[index][band.sources]
                np.greater(rows, threshold, out=masks[index][band.rows])
        return masks

    @cached_property
    def _factors(self) -> np.ndarray:
        (height, width), (new_height, new_width) = self.original_size, self.input_size
        return np.array([new_width / width, new_height / height])

    def _stretch(self, low_res_logits: np.ndarray) -> tuple[np.ndarray, list["_Band"]]:
        """Logits `(..., L, W)`, at full width, and what stretches them to full height."""
        logits = np.asarray(low_res_logits, np.float32)
        if logits.ndim < 2 or 0 in logits.shape[-2:]:
            raise ValueError(f"low_res_logits must have shape (..., L, L), got {logits.shape}")
        low_res_size = logits.shape[-2:]
        cache = self.__dict__.setdefault("_resizers", {})
        if low_res_size not in cache:
            rows, columns = (
                _resizer(*sizes)
                for sizes in zip(
                    low_res_size, self.image_size, self.input_size, self.original_size, strict=True
                )
            )
            cache[low_res_size] = np.ascontiguousarray(columns.T), _bands(rows)
        columns, bands = cache[low_res_size]
        return logits @ columns, bands


class _Band(NamedTuple):
    """Some rows of a resizer, without the columns where all of them are zero."""

    rows: slice
    sources: slice
    weights: np.ndarray


def _resizer(low_res: int, padded: int, inside: int, original: int) -> np.ndarray:
    """The matrix `(original, low_res)`, float32, of one axis: stretch, crop, resize.

    All three are linear, so that together they are one matrix.
    """
    stretch = _interpolate(np.eye(low_res), padded)
    return _interpolate(stretch[:inside], original).astype(np.float32)


def _interpolate(values: np.ndarray, new_size: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres along the first axis."""
    size = len(values)
    # Rounded where PyTorch rounds: pixels at the outlines of Meta's masks turn on it.
    scale = np.float32(size) / np.float32(new_size)
    places = ((np.arange(new_size) + 0.5) * np.float64(scale) - 0.5).astype(np.float32)
    places = np.clip(places, 0, size - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, size - 1)
    share = (places - low)[:, None]
    return values[low] * (1 - share) + values[high] * share


def _bands(resizer: np.ndarray) -> list[_Band]:
    """Cuts a resizer into bands: neighbouring pixels come from the same few sources."""
    bands = []
    for start in range(0, len(resizer), BAND_ROWS):
        rows = slice(start, start + BAND_ROWS)
        used = np.flatnonzero(resizer[rows].any(axis=0))
        sources = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(_Band(rows, sources, np.ascontiguousarray(resizer[rows, sources])))
    return bands
