"""Measures of boolean masks: area, box, IoU, stability score and interior point."""

import numpy as np
from scipy.ndimage import distance_transform_edt


def mask_area(masks: np.ndarray) -> np.ndarray:
    """Number of pixels `(...)` of each mask in `(..., H, W)`."""
    return np.count_nonzero(masks, axis=(-2, -1))


def mask_to_box(mask: np.ndarray) -> np.ndarray:
    """Return the tight XYXY box of a mask.

    Args:
        mask: Mask `(H, W)`.

    Returns:
        Box `(4,)` float32; x1 and y1 are exclusive. All zeros for an empty mask.

    Raises:
        ValueError: If the mask has another shape.
    """
    mask = check_mask(mask)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.float32)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def mask_iou(masks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of masks.

    Args:
        masks: Masks `(..., H, W)`.
        others: Masks `(..., H, W)`. Leading dimensions are broadcast.

    Returns:
        IoU `(...)` float64, in [0, 1]. 1 for two empty masks.

    Raises:
        ValueError: If the masks differ in height or width.
    """
    masks, others = np.asarray(masks, bool), np.asarray(others, bool)
    if masks.shape[-2:] != others.shape[-2:]:
        sizes = f"{masks.shape[-2:]} and {others.shape[-2:]}"
        raise ValueError(f"masks must have the same size, got {sizes}")
    intersection = np.count_nonzero(masks & others, axis=(-2, -1))
    union = mask_area(masks) + mask_area(others) - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def stability_score(
    mask_logits: np.ndarray, *, threshold: float = 0.0, offset: float = 1.0
) -> np.ndarray:
    """Stability of masks when the threshold changes, as defined by Segment Anything.

    Args:
        mask_logits: Logits `(..., H, W)`.
        threshold: Logit above which a pixel belongs to the mask.
        offset: Change of the threshold in both directions.

    Returns:
        IoU `(...)` of the mask at `threshold + offset` and the mask at `threshold - offset`, in
        [0, 1]. 0 if both are empty.
    """
    small = np.count_nonzero(mask_logits > threshold + offset, axis=(-2, -1))
    large = np.count_nonzero(mask_logits > threshold - offset, axis=(-2, -1))
    return np.where(large == 0, 0.0, small / np.maximum(large, 1))


def mask_interior_point(mask: np.ndarray) -> tuple[int, int]:
    """Return the pixel of a mask that is farthest from its boundary.

    Pixels beyond the image border count as background.

    Args:
        mask: Mask `(H, W)`.

    Returns:
        Pixel `(x, y)`. Of several at the same distance, the first in row-major order.

    Raises:
        ValueError: If the mask is empty or has another shape.
    """
    mask = check_mask(mask)
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    if x0 == x1:
        raise ValueError("an empty mask has no interior point")
    distances = distance_transform_edt(np.pad(mask[y0:y1, x0:x1], 1))[1:-1, 1:-1]
    # Squared distances are integers. Rounding makes equal ones exactly equal.
    y, x = np.unravel_index(np.argmax(np.rint(distances**2)), distances.shape)
    return int(x0 + x), int(y0 + y)


def check_mask(mask: np.ndarray) -> np.ndarray:
    """Return a mask as a boolean array; nonzero values are True.

    Raises:
        ValueError: If the shape is not `(H, W)`.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"a mask must have shape (H, W), got {mask.shape}")
    return mask.astype(bool, copy=False)
