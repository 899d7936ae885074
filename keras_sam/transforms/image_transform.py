"""`ImageTransform`: an image and its prompts into the model frame, and masks back."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image

from keras_sam.masks.measures import mask_to_box
from keras_sam.transforms.bilinear_matrix import (
    ROWS_PER_BLOCK,
    BilinearMatrix,
    interpolation_weights,
    stretch_weights,
)
from keras_sam.transforms.logits import logit, sigmoid
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import PIXEL_MEAN, Preprocessing
from keras_sam.types import Size, is_size


@dataclass(frozen=True)
class ImageTransform:
    """The transform between one image and the model frame; Meta's `ResizeLongestSide`.

    By default, the image is resized to the largest size that fits `image_size` with its aspect
    ratio, and padded at the right and at the bottom. With `preprocessing.resize="stretch"`, it
    is resized to `image_size`.

    Attributes:
        original_size: `(height, width)` of the image.
        image_size: `(height, width)` of the model frame.
        preprocessing: Preparation of the model's images.
        postprocessing: Upsampling of the model's masks.

    Raises:
        ValueError: If a size is not two whole numbers of at least 1.
    """

    original_size: Size
    image_size: Size
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    postprocessing: Postprocessing = field(default_factory=Postprocessing)

    def __post_init__(self) -> None:
        for name in ("original_size", "image_size"):
            size = getattr(self, name)
            if not is_size(size):
                raise ValueError(
                    f"{name} must be (height, width), whole numbers of at least 1, got {size!r}"
                )
            object.__setattr__(self, name, (int(size[0]), int(size[1])))

    @cached_property
    def input_size(self) -> Size:
        """`(height, width)` of the resized image in the model frame, without padding."""
        if self.preprocessing.resize == "stretch":
            return self.image_size
        height, width = self.original_size
        scale = min(self.image_size[0] / height, self.image_size[1] / width)
        # At least 1: a very thin image would vanish.
        return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))

    def low_res_input_size(self, low_res_size: Size) -> Size:
        """`(height, width)` of the image in low-res cells, without padding, rounded up."""
        (height, width), (image_height, image_width) = self.input_size, self.image_size
        rows, columns = low_res_size
        return -(-height * rows // image_height), -(-width * columns // image_width)

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        """Prepare an image for the image encoder.

        Args:
            image: RGB image `(H, W, 3)`, uint8, of `original_size`.

        Returns:
            Image `(image height, image width, 3)`, float32, padded with the mean color. Values
            are in [0, 1] unless the model expects another normalization than ImageNet's.

        Raises:
            TypeError: If the image is not an array.
            ValueError: If its shape or dtype is wrong.
        """
        if not isinstance(image, np.ndarray):
            raise TypeError(f"image must be an array, got {type(image).__name__}")
        if image.shape != (*self.original_size, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"expected a uint8 image of shape {(*self.original_size, 3)}, got "
                f"{image.dtype} {image.shape}"
            )
        height, width = self.input_size
        resized = self.preprocessing.resize_image(image, self.input_size)
        padded = np.empty((*self.image_size, 3), np.float32)
        padded[:] = PIXEL_MEAN
        padded[:height, :width] = self.preprocessing.to_model_pixels(resized)
        return padded

    def apply_masks(self, masks: np.ndarray) -> np.ndarray:
        """Resize masks like the image and pad them with background.

        Args:
            masks: Masks `(P, H, W)` of `original_size`, bool or 0 and 1.

        Returns:
            Masks `(P, image height, image width)`, uint8, 1 where at least half of a pixel is
            covered.

        Raises:
            ValueError: If the masks have another size.
        """
        if masks.ndim != 3 or masks.shape[1:] != self.original_size:
            raise ValueError(
                f"masks must have shape (P, {self.original_size[0]}, {self.original_size[1]}), "
                f"got {masks.shape}"
            )
        height, width = self.input_size
        resized = np.zeros((len(masks), *self.image_size), np.uint8)
        for target, mask in zip(resized, masks, strict=True):
            image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
            scaled = np.asarray(image.resize((width, height), Image.Resampling.BOX))
            target[:height, :width] = scaled >= 128
        return resized

    def apply_points(self, points: np.ndarray) -> np.ndarray:
        """Move points `(..., 2)` (x, y) from the original to the model frame; float32."""
        return (np.asarray(points, np.float64) * self._factors).astype(np.float32)

    def apply_boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Move boxes `(..., 4)` XYXY from the original to the model frame; float32."""
        boxes = np.asarray(boxes)
        return self.apply_points(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    def mask_boxes(self, masks: np.ndarray) -> np.ndarray:
        """Return the tight boxes `(P, 4)` XYXY of masks of the original, in the model frame.

        Args:
            masks: Masks `(P, H, W)` of `original_size`, bool or 0 and 1.

        Returns:
            Boxes, float32. All zeros for empty masks.
        """
        boxes = [mask_to_box(mask) for mask in masks]
        return self.apply_boxes(np.array(boxes, np.float32).reshape(-1, 4))

    def invert_points(self, points: np.ndarray) -> np.ndarray:
        """Move points `(..., 2)` (x, y) from the model frame to the original; float32."""
        return (np.asarray(points, np.float64) / self._factors).astype(np.float32)

    def invert_boxes(self, boxes: np.ndarray) -> np.ndarray:
        """Move boxes `(..., 4)` XYXY from the model frame to the original; float32."""
        boxes = np.asarray(boxes)
        return self.invert_points(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    def postprocess_logits(self, low_res_logits: np.ndarray) -> np.ndarray:
        """Upsample low-res logits to the original, as Meta's `postprocess_masks`.

        Bilinear to `image_size`, crop to `input_size`, bilinear to `original_size`. A stretched
        image has no padding to crop, so it is resized to `original_size` in one step.

        Args:
            low_res_logits: Logits `(..., L, L)`.

        Returns:
            Logits `(..., H, W)`, float32. With `upsample_in="probabilities"`, they lie within
            ±16.7.

        Raises:
            ValueError: If there are fewer than two axes, or an empty one.
        """
        stretched, vertical = self._stretch_columns(low_res_logits)
        logits = np.empty((*stretched.shape[:-2], *self.original_size), np.float32)
        for position, rows in vertical.iter_row_blocks(stretched, slice(0, self.original_size[0])):
            logits[..., position, :] = self.from_interpolated(rows)
        return logits

    def postprocess_masks(
        self, low_res_logits: np.ndarray, *, threshold: float = 0.0
    ) -> np.ndarray:
        """Upsample low-res logits to boolean masks of the original.

        Only pixels that depend on a logit over the threshold are computed, a few rows at a time,
        so small masks are cheap.

        Args:
            low_res_logits: Logits `(..., L, L)`.
            threshold: Logit above which a pixel belongs to the mask.

        Returns:
            Masks `(..., H, W)`, bool.

        Raises:
            ValueError: If there are fewer than two axes, or an empty one.
        """
        logits = _check_low_res_logits(low_res_logits)
        if self._uses_probabilities:
            threshold = float(sigmoid(np.asarray(threshold, np.float64)))
        matrices = self.bilinear_matrices((logits.shape[-2], logits.shape[-1]))
        masks = np.zeros((*logits.shape[:-2], *self.original_size), bool)
        for index in np.ndindex(*logits.shape[:-2]):
            _draw_mask(masks[index], self.to_interpolated(logits[index]), threshold, matrices)
        return masks

    def bilinear_matrices(self, low_res_size: Size) -> tuple[BilinearMatrix, BilinearMatrix]:
        """Interpolation matrices from low-res rows and columns to those of the original."""
        cache = self.__dict__.setdefault("_bilinear_matrices", {})
        if low_res_size not in cache:
            cache[low_res_size] = tuple(
                BilinearMatrix(self._weights(low_res_size[axis], axis)) for axis in (0, 1)
            )
        return cache[low_res_size]

    def to_interpolated(self, low_res_logits: np.ndarray) -> np.ndarray:
        """Convert logits to the quantity that is interpolated: themselves, or probabilities."""
        logits = np.asarray(low_res_logits, np.float32)
        return sigmoid(logits) if self._uses_probabilities else logits

    def from_interpolated(self, values: np.ndarray) -> np.ndarray:
        """Convert interpolated values to logits; the inverse of `to_interpolated`."""
        return logit(values) if self._uses_probabilities else values

    @cached_property
    def _factors(self) -> np.ndarray:
        (height, width), (new_height, new_width) = self.original_size, self.input_size
        return np.array([new_width / width, new_height / height])

    @property
    def _uses_probabilities(self) -> bool:
        return self.postprocessing.upsample_in == "probabilities"

    def _stretch_columns(self, low_res_logits: np.ndarray) -> tuple[np.ndarray, BilinearMatrix]:
        """Interpolate to full width, and return the matrix to full height.

        Low-res rows that contain only padding are dropped.
        """
        logits = _check_low_res_logits(low_res_logits)
        vertical, horizontal = self.bilinear_matrices((logits.shape[-2], logits.shape[-1]))
        rows = vertical.source_slice(slice(0, self.original_size[0]))
        return self.to_interpolated(logits[..., rows, :]) @ horizontal.weights.T, vertical

    def _weights(self, cells: int, axis: int) -> np.ndarray:
        if self.preprocessing.resize == "stretch":
            return stretch_weights(cells, self.original_size[axis])
        return interpolation_weights(
            cells, self.image_size[axis], self.input_size[axis], self.original_size[axis]
        )


def _check_low_res_logits(low_res_logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(low_res_logits, np.float32)
    if logits.ndim < 2 or 0 in logits.shape[-2:]:
        raise ValueError(f"low_res_logits must have shape (..., L, L), got {logits.shape}")
    return logits


def _draw_mask(
    mask: np.ndarray,
    values: np.ndarray,
    threshold: float,
    matrices: tuple[BilinearMatrix, BilinearMatrix],
) -> None:
    """Set the pixels of an empty mask whose interpolated value exceeds the threshold.

    Args:
        mask: Mask `(H, W)`, all False, changed in place.
        values: Interpolated quantity `(L, L)`.
        threshold: Value above which a pixel belongs to the mask.
        matrices: Interpolation matrices of rows and columns.
    """
    vertical, horizontal = matrices
    is_foreground = values > threshold
    for start in range(0, len(mask), ROWS_PER_BLOCK):
        block = slice(start, min(start + ROWS_PER_BLOCK, len(mask)))
        rows = vertical.source_slice(block)
        cells = np.flatnonzero(is_foreground[rows].any(axis=0))
        if not len(cells):
            continue
        # An interpolated value is a mean of its cells: no higher than the highest of them.
        pixels = horizontal.target_slice(cells[0], cells[-1])
        if pixels.start >= pixels.stop:  # only in the padding
            continue
        columns = horizontal.source_slice(pixels)
        stretched = values[rows, columns] @ horizontal.weights[pixels, columns].T
        np.greater(vertical.weights[block, rows] @ stretched, threshold, out=mask[block, pixels])
