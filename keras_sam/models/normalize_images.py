"""`normalize_images`: what every image encoder does to its input first."""

from collections.abc import Sequence
from typing import Any

from keras import ops

# Mean and standard deviation of ImageNet, for images in 0..1.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def normalize_images(images: Any, *, image_shape: tuple[int, ...], dtype: str) -> Any:
    """Images `(B, H, W, 3)` in 0..1, normalized in float32 and then cast.

    Raises:
        ValueError: if their shape is not `image_shape`.
    """
    if tuple(images.shape[1:]) != image_shape:
        raise ValueError(
            f"images must have shape (B, {', '.join(map(str, image_shape))}), got "
            f"{tuple(images.shape)}. Another size is set with image_shape="
        )
    mean = ops.array(PIXEL_MEAN, dtype="float32")
    std = ops.array(PIXEL_STD, dtype="float32")
    return ops.cast((ops.cast(images, "float32") - mean) / std, dtype)


def check_image_shape(image_shape: Sequence[int | None], patch_size: int) -> None:
    """Raises a `ValueError` unless it is `(height, width, 3)` in whole patches."""
    if len(image_shape) != 3 or None in image_shape or image_shape[2] != 3:
        raise ValueError(f"image_shape must be (height, width, 3) in pixels, got {image_shape}")
    if any(side is None or side <= 0 or side % patch_size for side in image_shape[:2]):
        raise ValueError(
            f"height and width of image_shape must be multiples of patch_size {patch_size}, "
            f"got {tuple(image_shape)}"
        )
