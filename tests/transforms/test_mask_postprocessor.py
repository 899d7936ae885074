"""Masks that are measured and drawn in bands against all pixels at once."""

import numpy as np
import pytest

from keras_sam.masks.measures import mask_to_box, stability_score
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.transforms.preprocessing import MEDSAM, SAM, Preprocessing


def blobs(seed: int) -> np.ndarray:
    """Logits of a few discs, with noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    logits = np.full((64, 64), -8.0)
    for _ in range(3):
        (v, u), radius = random.uniform(0, 64, 2), random.uniform(1, 20)
        logits = np.maximum(logits, 6 * (1 - ((y - v) ** 2 + (x - u) ** 2) / radius**2))
    return (logits + random.normal(0, 0.5, (64, 64))).astype("float32")


@pytest.mark.parametrize("size", [(40, 60), (300, 200), (1, 1), (3, 500), (256, 256)])
@pytest.mark.parametrize("preprocessing", [SAM, MEDSAM], ids=["sam", "medsam"])
def test_equal_to_all_pixels_at_once(size, preprocessing):
    frame = ImageTransform(size, (256, 256), preprocessing)
    masks = MaskPostprocessor(frame, (64, 64), threshold=0.5, offset=0.75)
    for seed in range(8):
        logits = blobs(seed)
        part, whole = masks.measure(logits), frame.postprocess_logits(logits)
        expected = whole > 0.5
        if (whole > -0.25).any():
            score = stability_score(whole, threshold=0.5, offset=0.75)
            np.testing.assert_allclose(part.stability_score, score, atol=2e-3)
        else:
            assert np.isnan(part.stability_score)
        np.testing.assert_array_equal(part.box, mask_to_box(expected))
        x0, y0, x1, y1 = part.box
        np.testing.assert_array_equal(masks.draw(part), expected[y0:y1, x0:x1])


def test_nothing_over_the_thresholds():
    masks = MaskPostprocessor(ImageTransform((30, 20), (256, 256)), (64, 64))
    part = masks.measure(np.full((64, 64), -5.0, "float32"))
    assert part.box == (0, 0, 0, 0)
    assert masks.draw(part).shape == (0, 0)


@pytest.mark.parametrize("box", [(30, 40, 90, 101), (0, 0, 2, 200), (250, 3, 260, 9)])
def test_a_mask_that_ends_at_a_box(box):
    frame = ImageTransform((200, 300), (256, 256), Preprocessing(box_masks="inside"))
    masks = MaskPostprocessor(frame, (64, 64))
    for seed in range(4):
        logits = blobs(seed)
        part = masks.measure(logits, within=frame.window(box))
        boxes = np.array([box], float)
        expected = frame.postprocess_masks(logits[None], boxes=boxes)[0]
        np.testing.assert_array_equal(part.box, mask_to_box(expected))
        x0, y0, x1, y1 = part.box
        np.testing.assert_array_equal(masks.draw(part), expected[y0:y1, x0:x1])
        limited = frame.postprocess_logits(logits[None], boxes=boxes)[0]
        if (limited > -1).any():
            np.testing.assert_allclose(part.stability_score, stability_score(limited), atol=2e-3)
