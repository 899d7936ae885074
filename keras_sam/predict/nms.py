"""Of masks that show the same thing, the best: within a crop, between crops, and once cleaned."""

from dataclasses import replace

import numpy as np

from keras_sam.masks.box_nms import box_nms
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_to_box
from keras_sam.masks.small_regions import remove_small_regions
from keras_sam.predict.generated_mask import GeneratedMask


def nms_within_crop(found: list[GeneratedMask], threshold: float) -> list[GeneratedMask]:
    """Without duplicates in a crop, by falling rating.

    Args:
        found: masks of one crop.
        threshold: of two masks whose boxes' IoU is higher, the lower rated goes.
    """
    return _suppressed(found, [mask.candidate.predicted_iou for mask in found], threshold)


def nms_across_crops(found: list[GeneratedMask], threshold: float) -> list[GeneratedMask]:
    """Without duplicates between crops, the masks of smaller crops first.

    Args:
        found: masks of all crops, without duplicates in one.
        threshold: as `nms_within_crop`.
    """
    return _suppressed(
        found, [1 / (mask.crop.size[0] * mask.crop.size[1]) for mask in found], threshold
    )


def without_small_regions(
    found: list[GeneratedMask],
    min_area: int,
    threshold: float,
    *,
    region: tuple[int, int, int, int],
) -> list[GeneratedMask]:
    """Without small holes and islands, and the duplicates that this makes.

    Args:
        found: masks without duplicates.
        min_area: holes and islands of fewer pixels are removed.
        threshold: as `nms_within_crop`; masks that were left alone go first.
        region: XYXY, the part of the image that was searched; the rest is no hole's surrounding.
    """
    cleaned = [_clean(mask, min_area, region) for mask in found]
    scores = [float(new is old) for new, old in zip(cleaned, found, strict=True)]
    return _suppressed(cleaned, scores, threshold)


def _suppressed(
    found: list[GeneratedMask], scores: list[float], threshold: float
) -> list[GeneratedMask]:
    boxes = np.array([mask.box for mask in found], np.float32).reshape(-1, 4)
    return [found[index] for index in box_nms(boxes, np.array(scores), threshold)]


def _clean(found: GeneratedMask, min_area: int, region: tuple[int, int, int, int]) -> GeneratedMask:
    mask = found.mask()
    part = mask[region[1] : region[3], region[0] : region[2]]
    part[:], is_changed = remove_small_regions(part, min_area)
    if not is_changed:
        return found
    x0, y0, x1, y1 = (int(side) for side in mask_to_box(mask))
    left, top = found.crop.box[:2]
    box = (x0 - left, y0 - top, x1 - left, y1 - top) if x1 else (0, 0, 0, 0)
    candidate = replace(found.candidate, part=replace(found.candidate.part, box=box))
    return replace(found, candidate=candidate, masks=None, rle=mask_to_coco_rle(mask))
