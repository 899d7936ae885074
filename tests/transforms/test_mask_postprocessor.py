"""Masks computed a few rows at a time, against all pixels at once."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box, stability_score
from keras_sam.transforms.fit_mask_to_box import clip_mask_to_box
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.inference_config import parse_inference_config
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor


def blobs(seed: int) -> np.ndarray:
    """Return logits `(64, 64)` of a few discs with noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    logits = np.full((64, 64), -8.0)
    for _ in range(3):
        (v, u), radius = random.uniform(0, 64, 2), random.uniform(1, 20)
        logits = np.maximum(logits, 6 * (1 - ((y - v) ** 2 + (x - u) ** 2) / radius**2))
    return (logits + random.normal(0, 0.5, (64, 64))).astype("float32")


@pytest.mark.parametrize("size", [(40, 60), (300, 200), (1, 1), (3, 500), (256, 256)])
@pytest.mark.parametrize("name", ["sam", "medsam"])
def test_results_equal_those_of_all_pixels_at_once(size, name):
    config = parse_inference_config(name)
    transform = ImageTransform(size, (256, 256), config.preprocessing, config.postprocessing)
    postprocessor = MaskPostprocessor(transform, (64, 64), threshold=0.5, offset=0.75)
    for seed in range(8):
        logits = blobs(seed)
        crop = postprocessor.compute_box_and_stability(logits)
        full = transform.postprocess_logits(logits)
        mask = full > 0.5
        if (full > -0.25).any():
            score = stability_score(full, threshold=0.5, offset=0.75)
            np.testing.assert_allclose(crop.stability_score, score, atol=2e-3)
        else:
            assert np.isnan(crop.stability_score)
        np.testing.assert_array_equal(crop.box, mask_to_box(mask))
        x0, y0, x1, y1 = crop.box
        np.testing.assert_array_equal(postprocessor.render(crop), mask[y0:y1, x0:x1])


@pytest.mark.parametrize("box", [(30, 40, 90, 101), (0, 0, 2, 200), (250, 3, 260, 9)])
def test_masks_clipped_to_a_box(box):
    transform = ImageTransform((200, 300), (256, 256))
    postprocessor = MaskPostprocessor(transform, (64, 64))
    for seed in range(4):
        logits = clip_mask_to_box(blobs(seed), transform, np.array(box))
        crop = postprocessor.compute_box_and_stability(logits)
        full = transform.postprocess_logits(logits)
        np.testing.assert_array_equal(crop.box, mask_to_box(full > 0))
        x0, y0, x1, y1 = crop.box
        np.testing.assert_array_equal(postprocessor.render(crop), (full > 0)[y0:y1, x0:x1])
        if (full > -1).any():
            np.testing.assert_allclose(crop.stability_score, stability_score(full), atol=2e-3)


def test_mask_below_all_thresholds_is_empty_and_has_no_stability_score():
    postprocessor = MaskPostprocessor(ImageTransform((30, 20), (256, 256)), (64, 64))
    crop = postprocessor.compute_box_and_stability(np.full((64, 64), -5.0, "float32"))
    assert crop.box == (0, 0, 0, 0)
    assert np.isnan(crop.stability_score)
    assert postprocessor.render(crop).shape == (0, 0)


def test_mask_between_the_thresholds_is_empty_and_has_stability_score_0():
    postprocessor = MaskPostprocessor(ImageTransform((30, 20), (256, 256)), (64, 64))
    crop = postprocessor.compute_box_and_stability(np.full((64, 64), -0.5, "float32"))
    assert (crop.box, crop.stability_score) == ((0, 0, 0, 0), 0.0)
    assert postprocessor.render(crop).shape == (0, 0)


def test_mask_in_the_padding_is_empty():
    logits = np.full((64, 64), -5.0, "float32")
    logits[40:] = 5
    postprocessor = MaskPostprocessor(ImageTransform((30, 60), (256, 256)), (64, 64))
    crop = postprocessor.compute_box_and_stability(logits)
    assert crop.box == (0, 0, 0, 0)
    assert np.isnan(crop.stability_score)


def test_crop_contains_only_the_logits_of_its_box():
    logits = np.full((64, 64), -5.0, "float32")
    logits[10:14, 20:26] = 5
    transform = ImageTransform((200, 256), (256, 256))
    postprocessor = MaskPostprocessor(transform, (64, 64))
    crop = postprocessor.compute_box_and_stability(logits)
    expected = postprocessor.render(crop)
    np.testing.assert_array_equal(crop.values, logits[crop.rows, crop.columns])
    assert crop.values.size <= 6 * 8
    logits[:] = 5  # the crop has its own copy
    np.testing.assert_array_equal(postprocessor.render(crop), expected)
