"""`boundary_iou`: IoU of the bands along the outlines of two masks."""

import math

import numpy as np
from scipy.ndimage import minimum_filter1d

from keras_sam.masks.measures import check_mask, mask_to_box

BAND_RATIO = 0.02  # width of the band, as a share of the image diagonal


def boundary_iou(mask: np.ndarray, target: np.ndarray, *, band_ratio: float = BAND_RATIO) -> float:
    """Compute the IoU of the inner bands along the outlines of two masks.

    Cheng, Girshick, Dollár, Berg and Kirillov, "Boundary IoU", 2021. Unlike mask IoU, it does
    not become less strict with the size of the object.

    Args:
        mask: Mask `(H, W)`.
        target: Target mask `(H, W)`.
        band_ratio: Width of the band, as a share of the image diagonal.

    Returns:
        Boundary IoU in [0, 1]. 1 for two empty masks.

    Raises:
        ValueError: If the masks have different shapes, or the ratio is not positive.
    """
    mask, target = check_mask(mask), check_mask(target)
    if mask.shape != target.shape:
        raise ValueError(f"masks must have the same size, got {mask.shape} and {target.shape}")
    boxes = [mask_to_box(one).astype(int) for one in (mask, target)]
    bands = [
        _band_in_box(one, box, band_width(mask.shape, band_ratio))
        for one, box in zip((mask, target), boxes, strict=True)
    ]
    x0, y0 = np.maximum(boxes[0][:2], boxes[1][:2])
    x1, y1 = np.minimum(boxes[0][2:], boxes[1][2:])
    intersection = 0
    if x0 < x1 and y0 < y1:
        shared = [
            band[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
            for band, box in zip(bands, boxes, strict=True)
        ]
        intersection = int(np.count_nonzero(shared[0] & shared[1]))
    union = sum(int(np.count_nonzero(band)) for band in bands) - intersection
    return intersection / union if union else 1.0


def boundary_band(mask: np.ndarray, *, band_ratio: float = BAND_RATIO) -> np.ndarray:
    """Return the pixels of a mask that are near its outline.

    The band is the mask without its erosion. The erosion is by a square, and pixels beyond the
    image border count as background, as in the authors' code.

    Args:
        mask: Mask `(H, W)`.
        band_ratio: Width of the band, as a share of the image diagonal.

    Returns:
        Band `(H, W)`, bool.

    Raises:
        ValueError: If the mask has another shape, or the ratio is not positive.
    """
    mask = check_mask(mask)
    box = mask_to_box(mask).astype(int)
    band = np.zeros(mask.shape, bool)
    band[box[1] : box[3], box[0] : box[2]] = _band_in_box(
        mask, box, band_width(mask.shape, band_ratio)
    )
    return band


def band_width(size: tuple[int, ...], band_ratio: float = BAND_RATIO) -> int:
    """Return the width of the band in pixels, at least 1.

    Args:
        size: `(height, width)` of the image.
        band_ratio: Width as a share of the image diagonal.

    Raises:
        ValueError: If the ratio is not positive.
    """
    if not band_ratio > 0:
        raise ValueError(f"band_ratio must be positive, got {band_ratio}")
    return max(1, round(band_ratio * math.hypot(*size)))


def _band_in_box(mask: np.ndarray, box: np.ndarray, width: int) -> np.ndarray:
    """Return the band of a mask within its tight box, bool."""
    x0, y0, x1, y1 = box
    inside = mask[y0:y1, x0:x1]
    if min(inside.shape) <= 2 * width:  # nothing remains after the erosion
        return inside
    eroded = inside.view(np.uint8)
    for axis in (0, 1):
        eroded = minimum_filter1d(eroded, 2 * width + 1, axis=axis, mode="constant", cval=0)
    return inside & (eroded == 0)
