"""`SAMImageConverter`: raw images to the inputs of an image encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing
from keras_sam.types import Size


@keras.saving.register_keras_serializable(package="keras_sam")
class SAMImageConverter(keras.layers.Layer):
    """Resizes, normalizes and pads images as SAM expects.

    The computation runs in NumPy and Pillow, outside any compiled program.

    Args:
        image_size: `(height, width)` of the model frame in pixels.
        resize: "longest_side" or "stretch", see `Preprocessing`.
        interpolation: "bilinear" or "bicubic".
        normalization: "imagenet", "unit" or "min_max".

    Raises:
        ValueError: If an option is not one of the choices.
    """

    def __init__(
        self,
        image_size: Size = (1024, 1024),
        *,
        resize: str = "longest_side",
        interpolation: str = "bilinear",
        normalization: str = "imagenet",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.image_size = (image_size[0], image_size[1])
        self.resize = resize
        self.interpolation = interpolation
        self.normalization = normalization
        self.preprocessing = Preprocessing(resize, interpolation, normalization)
        self.built = True

    def transform(self, original_size: Size) -> ImageTransform:
        """Return the transform of images with this `(height, width)`."""
        return ImageTransform(original_size, self.image_size, self.preprocessing)

    def call(self, images: Any) -> np.ndarray:
        """Convert images.

        Args:
            images: One RGB image `(H, W, 3)`, a batch `(B, H, W, 3)`, or a list of images of any
                sizes. uint8, or floats in [0, 255].

        Returns:
            Prepared images `(height, width, 3)` or `(B, height, width, 3)`, float32.

        Raises:
            ValueError: If an image has another shape, or floats look normalized already.
        """
        batch, is_batched = images_to_list(images)
        prepared = [self.transform(image.shape[:2]).apply_image(image) for image in batch]
        return np.stack(prepared) if is_batched else prepared[0]

    def get_config(self) -> dict[str, Any]:
        names = ("image_size", "resize", "interpolation", "normalization")
        return super().get_config() | {name: getattr(self, name) for name in names}


def images_to_list(images: Any) -> tuple[list[np.ndarray], bool]:
    """Split raw images into a list of uint8 arrays `(H, W, 3)`.

    Args:
        images: See `SAMImageConverter.call`.

    Returns:
        The images, and False for one image without a batch axis.

    Raises:
        ValueError: If an image has another shape, or floats look normalized already.
    """
    if isinstance(images, list | tuple):
        return [_to_uint8(_to_numpy(image)) for image in images], True
    array = _to_numpy(images)
    if array.ndim == 3:
        return [_to_uint8(array)], False
    if array.ndim != 4 or array.shape[-1] != 3:
        raise ValueError(
            f"images must have shape (H, W, 3) or (B, H, W, 3), got {tuple(array.shape)}"
        )
    return [_to_uint8(image) for image in array], True


def size_of_images(images: Sequence[np.ndarray]) -> list[Size]:
    """Return the `(height, width)` of each image."""
    return [(image.shape[0], image.shape[1]) for image in images]


def _to_numpy(array: Any) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else keras.ops.convert_to_numpy(array)


def _to_uint8(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"an image must have shape (H, W, 3), got {tuple(image.shape)}")
    if image.dtype == np.uint8:
        return image
    values = image.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):
        raise ValueError(f"an image must have values in [0, 255], got {low:g} to {high:g}")
    if 0 < high <= 1:
        raise ValueError(
            f"an image of {image.dtype} has values from {low:g} to {high:g}, but raw images have "
            "values in [0, 255]. Multiply by 255, or use preprocessor=None for prepared images"
        )
    return np.round(values).astype(np.uint8)
