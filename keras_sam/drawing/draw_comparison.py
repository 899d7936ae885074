"""`draw_comparison`: a predicted mask and the outline of its target."""

import numpy as np

from keras_sam.drawing.overlay import COLORS, WHITE, blend, draw_overlay, signed_distance, to_uint8
from keras_sam.masks.measures import check_mask

TARGET_COLOR = COLORS[1]  # orange; the predicted mask is blue, as in `draw_overlay`


def draw_comparison(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill a predicted mask in blue, and draw the outline of its target in orange.

    Args:
        image: RGB image `(H, W, 3)` uint8. It is not changed.
        target: Target mask `(H, W)`.
        mask: Predicted mask `(H, W)`.

    Returns:
        A new image `(H, W, 3)` uint8.

    Raises:
        TypeError: If the image is not an array.
        ValueError: If an argument has the wrong shape or dtype.
    """
    canvas = draw_overlay(image, mask).astype(np.float32)
    target = check_mask(target)
    if target.shape != image.shape[:2]:
        raise ValueError(f"target must have the size {image.shape[:2]}, got {target.shape}")
    unit = max(1.0, max(target.shape) / 500)  # line widths scale with the image
    distance = np.abs(signed_distance(target, int(4 * unit) + 3))
    blend(canvas, WHITE, 0.6 * np.clip(1.7 * unit + 0.5 - distance, 0, 1))
    blend(canvas, TARGET_COLOR, np.clip(0.9 * unit + 0.5 - distance, 0, 1))
    return to_uint8(canvas)
