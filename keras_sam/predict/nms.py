"""Non-maximum suppression of masks: within a crop, across crops, and after cleaning."""

import numpy as np

from keras_sam.masks.box_nms import box_nms
from keras_sam.masks.small_regions import remove_small_regions
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.types import Box


def nms_within_crop(masks: list[GeneratedMask], threshold: float) -> list[GeneratedMask]:
    """Drop duplicates within a crop.

    Args:
        masks: Masks of one crop.
        threshold: Box IoU above which the mask with the lower predicted IoU is dropped.

    Returns:
        Remaining masks by descending predicted IoU.
    """
    return _suppress(masks, [mask.predicted_iou for mask in masks], threshold)


def nms_across_crops(masks: list[GeneratedMask], threshold: float) -> list[GeneratedMask]:
    """Drop duplicates between crops.

    Args:
        masks: Masks of all crops, without duplicates within a crop.
        threshold: Box IoU above which the mask of the larger crop is dropped.

    Returns:
        Remaining masks, those of small crops first.
    """
    areas = [mask.crop.size[0] * mask.crop.size[1] for mask in masks]
    return _suppress(masks, [1 / area for area in areas], threshold)


def remove_small_regions_of_masks(
    masks: list[GeneratedMask], min_area: int, threshold: float, *, region: Box
) -> list[GeneratedMask]:
    """Remove small holes and islands, and the duplicates that result.

    Args:
        masks: Masks without duplicates.
        min_area: Area in pixels below which holes and islands are removed.
        threshold: Box IoU above which a mask is dropped. Unchanged masks have priority.
        region: Part of the image that was searched, XYXY. Pixels outside do not enclose holes.
    """
    cleaned = [_remove_small_regions(mask, min_area, region) for mask in masks]
    scores = [float(new is old) for new, old in zip(cleaned, masks, strict=True)]
    return _suppress(cleaned, scores, threshold)


def _suppress(
    masks: list[GeneratedMask], scores: list[float], threshold: float
) -> list[GeneratedMask]:
    boxes = np.array([mask.box for mask in masks], np.float32).reshape(-1, 4)
    return [masks[index] for index in box_nms(boxes, np.array(scores), threshold)]


def _remove_small_regions(mask: GeneratedMask, min_area: int, region: Box) -> GeneratedMask:
    pixels = mask.to_mask()
    x0, y0, x1, y1 = region
    pixels[y0:y1, x0:x1], is_changed = remove_small_regions(pixels[y0:y1, x0:x1], min_area)
    return mask.with_mask(pixels) if is_changed else mask
