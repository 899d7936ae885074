"""`resample_logits`: low-res logits of one crop on the low-res grid of another."""

import numpy as np

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.logits import BACKGROUND_LOGIT
from keras_sam.types import Box


def resample_logits(
    low_res_logits: np.ndarray,
    source: tuple[Box, ImageTransform],
    target: tuple[Box, ImageTransform],
) -> np.ndarray:
    """Resample logits linearly, with antialiasing where the target grid is coarser.

    Args:
        low_res_logits: Logits `(..., L, L)` in the source crop.
        source: Box XYXY of the source crop in the original, and its transform.
        target: Box XYXY of the target crop in the original, and its transform.

    Returns:
        Logits `(..., L, L)` in the target crop; `BACKGROUND_LOGIT` outside the source crop.
    """
    vertical, in_rows = _axis_weights(low_res_logits.shape[-2], source, target, axis=0)
    horizontal, in_columns = _axis_weights(low_res_logits.shape[-1], source, target, axis=1)
    resampled = vertical @ low_res_logits @ horizontal.T
    is_inside = in_rows[:, None] & in_columns
    return np.where(is_inside, resampled, BACKGROUND_LOGIT).astype(np.float32)


def _axis_weights(
    cells: int,
    source: tuple[Box, ImageTransform],
    target: tuple[Box, ImageTransform],
    *,
    axis: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights `(target cells, source cells)`, and which target cells are in the source."""
    (source_box, source_transform), (target_box, target_transform) = source, target
    x = 1 - axis  # points and boxes start with x
    centers = (np.arange(cells) + 0.5) * target_transform.image_size[axis] / cells
    centers = target_transform.invert_points(np.stack([centers, centers], -1))[:, x]
    centers = centers + target_box[x]  # in the original
    is_inside = (centers >= source_box[x]) & (centers <= source_box[x + 2])
    centers = centers - source_box[x]
    positions = source_transform.apply_points(np.stack([centers, centers], -1))[:, x]
    positions = positions * cells / source_transform.image_size[axis] - 0.5
    width = max(1.0, float(positions[1] - positions[0])) if cells > 1 else 1.0
    positions = np.clip(positions, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(cells)) / width)
    return weights / weights.sum(axis=1, keepdims=True), is_inside
