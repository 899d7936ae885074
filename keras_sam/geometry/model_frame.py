"""`ModelFrame`: the way of an image into the model's frame, and of masks back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.geometry.is_size import is_size
from keras_sam.geometry.logits import OUTSIDE, to_logits, to_probabilities
from keras_sam.geometry.outline_guide import OutlineGuide
from keras_sam.geometry.preprocessing import PIXEL_MEAN, SAM, Preprocessing
from keras_sam.geometry.resizer import Resizer


@dataclass(frozen=True)
class ModelFrame:
    """Original pixels to the model's frame and back; with SAM's preprocessing, as Meta's code.

    The image is resized, sides in proportion, to the largest size that fits `image_size`, and
    padded right and bottom; or stretched to `image_size`.

    Attributes:
        original_size: `(height, width)` of the image.
        image_size: `(height, width)` of what the model takes.
        preprocessing: how the model wants its images; SAM's if left out.
    """

    original_size: tuple[int, int]
    image_size: tuple[int, int]
    preprocessing: Preprocessing = SAM

    def __post_init__(self) -> None:
        if not isinstance(self.preprocessing, Preprocessing):
            raise TypeError(f"preprocessing must be a Preprocessing, got {self.preprocessing!r}")
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
        if self.preprocessing.resize == "stretch":
            return self.image_size
        height, width = self.original_size
        scale = min(self.image_size[0] / height, self.image_size[1] / width)
        # At least 1: an image thinner than the ratio would vanish.
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def to_model_image(self, image: np.ndarray) -> np.ndarray:
        """An image as the model takes it.

        Args:
            image: `(H, W, 3)` uint8 RGB of `original_size`.

        Returns:
            `(image height, image width, 3)` float32, padded with the mean colour: what the model
            makes zero. In 0..1, unless the network is to see another normalisation.

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
        resized = self.preprocessing.resized(image, self.input_size)
        padded = np.empty((*self.image_size, 3), np.float32)
        padded[:] = PIXEL_MEAN
        padded[:height, :width] = self.preprocessing.to_model_pixels(resized)
        return padded

    def outline_guide(
        self, model_image: np.ndarray, low_res_size: tuple[int, int]
    ) -> OutlineGuide | None:
        """What moves outlines to the image's edges; `None` unless `preprocessing` asks for it.

        Args:
            model_image: of `to_model_image`.
            low_res_size: `(height, width)` of low-res logits, a whole fraction of `image_size`.
        """
        if self.preprocessing.outlines != "image":
            return None
        rows, columns = low_res_size
        sides = self.image_size[0] // rows, self.image_size[1] // columns
        cells = model_image.reshape(rows, sides[0], columns, sides[1], 3).mean((1, 3))
        height, width = self.low_res_input_size(low_res_size)
        pixels = (np.clip(cells[:height, :width], 0, 1) * 255 + 0.5).astype(np.uint8)
        return OutlineGuide(pixels, self.original_size)

    def low_res_input_size(self, low_res_size: tuple[int, int]) -> tuple[int, int]:
        """`(height, width)` of the image in low-res cells, without its padding."""
        (height, width), (full_height, full_width) = self.input_size, self.image_size
        rows, columns = low_res_size
        return -(-height * rows // full_height), -(-width * columns // full_width)

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

    def to_original_logits(
        self, low_res_logits: np.ndarray, *, boxes: np.ndarray | None = None
    ) -> np.ndarray:
        """Low-res logits `(..., L, L)` to float32 logits `(..., H, W)` of the original.

        Equal to Meta's `postprocess_masks`: bilinear to `image_size`, crop to `input_size`,
        bilinear to `original_size`. An image that was stretched has no padding to crop: bilinear
        to `original_size` at once. Logits of probabilities stay within 16.7.

        Args:
            low_res_logits: of P prompts, if there are boxes.
            boxes: of the prompts, `(P, 4)` XYXY of the original, NaN where there is none. If
                `preprocessing.box_masks` is not "free", logits outside them are -16 at most.

        Raises:
            ValueError: for fewer than two axes, or an empty one.
        """
        stretched, vertical = self._stretch(low_res_logits)
        logits = np.empty((*stretched.shape[:-2], *self.original_size), np.float32)
        for place, rows in vertical.bands(stretched, slice(0, self.original_size[0])):
            logits[..., place, :] = to_logits(rows) if self._is_of_probabilities else rows
        for prompt, window in self._windows(boxes):
            inside = logits[prompt][..., *window].copy()
            np.minimum(logits[prompt], OUTSIDE, out=logits[prompt])
            logits[prompt][..., *window] = inside
        return logits

    def to_original_masks(
        self,
        low_res_logits: np.ndarray,
        *,
        threshold: float = 0.0,
        boxes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Low-res logits `(..., L, L)` to boolean masks `(..., H, W)`: logits over a threshold.

        Holds the float logits of a few rows at a time. Boxes are those of `to_original_logits`;
        outside of them there is no mask.

        Raises:
            ValueError: as `to_original_logits`.
        """
        stretched, vertical = self._stretch(low_res_logits)
        if self._is_of_probabilities:
            threshold = float(to_probabilities(np.asarray(threshold, np.float64)))
        masks = np.empty((*stretched.shape[:-2], *self.original_size), bool)
        for index in np.ndindex(*stretched.shape[:-2]):
            for place, rows in vertical.bands(stretched[index], slice(0, self.original_size[0])):
                np.greater(rows, threshold, out=masks[index][place])
        for prompt, window in self._windows(boxes):
            inside = masks[prompt][..., *window].copy()
            masks[prompt] = False
            masks[prompt][..., *window] = inside
        return masks

    def to_low_res_logits(self, logits: np.ndarray, low_res_size: tuple[int, int]) -> np.ndarray:
        """Logits `(P, H, W)` of the original to low-res logits `(P, L, L)`, as a mask input.

        Undoes `to_original_logits` but for its smoothing. What pads the image is no object.

        Args:
            logits: finite, of `original_size`.
            low_res_size: `(height, width)`, a whole fraction of `image_size`.
        """
        (height, width), (low_height, low_width) = self.input_size, low_res_size
        rows, columns = self.image_size[0] // low_height, self.image_size[1] // low_width
        padded = np.full(self.image_size, OUTSIDE, np.float32)
        low_res = np.empty((len(logits), *low_res_size), np.float32)
        for place, one in zip(low_res, logits, strict=True):
            picture = Image.fromarray(np.ascontiguousarray(one, np.float32))
            resized = picture.resize((width, height), Image.Resampling.BILINEAR)
            padded[:height, :width] = np.asarray(resized)
            place[:] = padded.reshape(low_height, rows, low_width, columns).mean((1, 3))
        return low_res

    def window(self, box: Any) -> tuple[slice, slice] | None:
        """Rows and columns of the original that the masks of a box `(4,)` XYXY may lie in.

        `None` if there is no limit: for NaN, and where `preprocessing.box_masks` is "free".
        """
        if self.preprocessing.box_masks == "free" or box is None or np.isnan(box).any():
            return None
        height, width = self.original_size
        x0, y0, x1, y1 = np.asarray(box, np.float64)
        return _touched(y0, y1, height), _touched(x0, x1, width)

    def resizers(self, low_res_size: tuple[int, int]) -> tuple[Resizer, Resizer]:
        """What stretches the rows and the columns of a low-res grid to the original.

        Stretching, cropping and resizing are linear along each axis, so that together they are
        one matrix for each, `(H, low-res height)` and `(W, low-res width)`.
        """
        cache = self.__dict__.setdefault("_resizers", {})
        if low_res_size not in cache:
            weights = (self._weights(low_res_size[axis], axis) for axis in (0, 1))
            cache[low_res_size] = tuple(map(Resizer, weights))
        return cache[low_res_size]

    def interpolated(self, low_res_logits: np.ndarray) -> np.ndarray:
        """What is interpolated on the way to the original: logits, or their probabilities."""
        logits = np.asarray(low_res_logits, np.float32)
        return to_probabilities(logits) if self._is_of_probabilities else logits

    @cached_property
    def _factors(self) -> np.ndarray:
        (height, width), (new_height, new_width) = self.original_size, self.input_size
        return np.array([new_width / width, new_height / height])

    def _windows(self, boxes: np.ndarray | None) -> Iterator[tuple[int, tuple[slice, slice]]]:
        """Prompts whose masks are limited, and to what."""
        for prompt, box in enumerate(() if boxes is None else boxes):
            if (window := self.window(box)) is not None:
                yield prompt, window

    @property
    def _is_of_probabilities(self) -> bool:
        return self.preprocessing.upscaled == "probabilities"

    def _stretch(self, low_res_logits: np.ndarray) -> tuple[np.ndarray, Resizer]:
        """What is interpolated, at full width, and the way to full height.

        Of the rows of the logits only those that the image takes, not its padding.
        """
        logits = np.asarray(low_res_logits, np.float32)
        if logits.ndim < 2 or 0 in logits.shape[-2:]:
            raise ValueError(f"low_res_logits must have shape (..., L, L), got {logits.shape}")
        vertical, horizontal = self.resizers(logits.shape[-2:])
        inside = logits[..., vertical.reach(slice(0, self.original_size[0])), :]
        return self.interpolated(inside) @ horizontal.weights.T, vertical

    def _weights(self, low_res: int, axis: int) -> np.ndarray:
        """The matrix `(original, low_res)`, float32, of one axis: stretch, crop, resize."""
        values = np.eye(low_res)
        if self.preprocessing.resize == "longest_side":
            values = _interpolate(values, self.image_size[axis])[: self.input_size[axis]]
        return _interpolate(values, self.original_size[axis]).astype(np.float32)


def _touched(start: float, stop: float, length: int) -> slice:
    """The pixels of 0..length that an interval reaches into."""
    return slice(max(0, math.floor(start)), min(length, math.ceil(stop)))


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
