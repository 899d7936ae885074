"""`normalize_images`: the first step of every image encoder."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD


def normalize_images(images: Any, *, image_shape: tuple[int, ...], dtype: str) -> Any:
    """Normalize images by ImageNet's mean and standard deviation.

    Args:
        images: Images `(B, H, W, 3)` in [0, 1].
        image_shape: Expected `(H, W, 3)`.
        dtype: Name of the result's dtype. The normalization is computed in float32.

    Raises:
        ValueError: If the images do not have `image_shape`.
    """
    if tuple(images.shape[1:]) != image_shape:
        raise ValueError(
            f"images must have shape (B, {', '.join(map(str, image_shape))}), got "
            f"{tuple(images.shape)}. Use image_shape= for another size"
        )
    mean = ops.array(PIXEL_MEAN, dtype="float32")
    std = ops.array(PIXEL_STD, dtype="float32")
    return ops.cast((ops.cast(images, "float32") - mean) / std, dtype)


def check_image_shape(image_shape: Sequence[int | None], patch_size: int) -> None:
    """Check that an image shape is `(height, width, 3)` in whole patches.

    Raises:
        ValueError: If it is not.
    """
    if len(image_shape) != 3 or None in image_shape or image_shape[2] != 3:
        raise ValueError(f"image_shape must be (height, width, 3) in pixels, got {image_shape}")
    if any(side is None or side <= 0 or side % patch_size for side in image_shape[:2]):
        raise ValueError(
            f"height and width of image_shape must be multiples of patch_size {patch_size}, "
            f"got {tuple(image_shape)}"
        )
