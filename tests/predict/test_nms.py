"""Suppression of duplicates against the reference, on masks that are drawn."""

import numpy as np
import pytest

from keras_sam.predict.crops import Crop
from keras_sam.predict.generated_mask import GeneratedMask
from keras_sam.predict.nms import (
    nms_across_crops,
    nms_within_crop,
    remove_small_regions_of_masks,
)
from keras_sam.transforms.mask_postprocessor import LowResMaskCrop
from tests.predict import reference_generator

SIZE = (40, 60)
IMAGE = Crop((0, 0, 60, 40))
CROPS = [Crop((0, 0, 40, 30), 1), Crop((20, 10, 60, 40), 1), Crop((20, 0, 40, 20), 2)]


def generated_mask(pixels, predicted_iou=0.5, crop=IMAGE):
    low_res = LowResMaskCrop((0, 0, 0, 0), 1.0, np.zeros((0, 0)), slice(0, 0), slice(0, 0))
    return GeneratedMask(crop, SIZE, low_res, predicted_iou, (1.0, 2.0)).with_mask(pixels)


def random_masks(crops, count=30):
    """Return rectangles inside random crops, many of which overlap."""
    rng = np.random.default_rng(0)
    masks = []
    for predicted_iou in rng.permutation(count) / count:
        crop = crops[rng.integers(len(crops))]
        x0, y0, x1, y1 = crop.box
        left, top = x0 + rng.integers(0, 3), y0 + rng.integers(0, 3)
        pixels = np.zeros(SIZE, bool)
        pixels[top : y1 - rng.integers(0, 12), left : x1 - rng.integers(0, 12)] = True
        masks.append(generated_mask(pixels, float(predicted_iou), crop))
    return masks


def reference_masks(masks):
    return [{"index": index, "box": mask.box} for index, mask in enumerate(masks)]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8, 1.0])
def test_masks_with_lower_predicted_iou_are_dropped(threshold):
    masks = random_masks([IMAGE])
    scores = [mask.predicted_iou for mask in masks]
    expected = reference_generator.nms(reference_masks(masks), scores, threshold)
    assert nms_within_crop(masks, threshold) == [masks[mask["index"]] for mask in expected]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8])
def test_masks_of_larger_crops_are_dropped(threshold):
    masks = random_masks([IMAGE, *CROPS])
    scores = [1 / (mask.crop.size[0] * mask.crop.size[1]) for mask in masks]
    expected = reference_generator.nms(reference_masks(masks), scores, threshold)
    selected = nms_across_crops(masks, threshold)
    assert selected == [masks[mask["index"]] for mask in expected]
    layers = [mask.crop.layer for mask in selected]
    assert layers == sorted(layers, reverse=True)


def test_small_regions_are_removed_then_duplicates():
    holes, islands, unchanged, duplicate = np.zeros((4, *SIZE), bool)
    holes[2:20, 2:20] = True
    holes[5:7, 5:7] = False
    islands[25:38, 2:25] = True
    islands[25, 40:43] = True
    unchanged[5:30, 30:50] = True
    duplicate[5:30, 30:50] = True
    duplicate[8, 33] = False
    masks = [generated_mask(mask) for mask in (duplicate, holes, islands, unchanged)]
    options = reference_generator.OPTIONS | {"min_mask_region_area": 6}
    references = [{"mask": mask.to_mask(), "box": mask.box} for mask in masks]
    expected = reference_generator.clean(references, options)
    cleaned = remove_small_regions_of_masks(masks, 6, 0.7, region=IMAGE.box)
    assert len(cleaned) == len(expected) == 3
    assert cleaned[0] is masks[3]  # unchanged masks have priority
    for mask, reference in zip(cleaned, expected, strict=True):
        np.testing.assert_array_equal(mask.to_mask(), reference["mask"])
        assert mask.box == reference["box"]


def test_holes_are_enclosed_by_the_region():
    """A notch at the side of the region is a hole there, and open to the rest of the image."""
    notched = np.zeros(SIZE, bool)
    notched[10:30, 10:30] = True
    notched[14:16, 28:30] = False
    masks = [generated_mask(notched)]
    (whole,) = remove_small_regions_of_masks(masks, 6, 0.7, region=IMAGE.box)
    np.testing.assert_array_equal(whole.to_mask(), notched)
    (cropped,) = remove_small_regions_of_masks(masks, 6, 0.7, region=(5, 5, 30, 35))
    assert cropped.to_mask().sum() == 400


def test_no_masks_stay_none():
    assert nms_within_crop([], 0.7) == nms_across_crops([], 0.7) == []
    assert remove_small_regions_of_masks([], 6, 0.7, region=IMAGE.box) == []
