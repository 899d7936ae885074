"""Masks of crops, and the selection among them."""

import numpy as np
import pytest

from keras_sam.masks.run_length_mask import runs_to_mask
from keras_sam.predict.crop_mask import ZOOM_PENALTY, build_crop_mask, select_crop_masks
from keras_sam.transforms.image_transform import ImageTransform
from tests.predict.reference_selection import select_greedily

SIZE = (64, 64)
CELLS = 16
IMAGE, CENTER, CORNER = (0, 0, 64, 64), (16, 16, 48, 48), (0, 0, 32, 32)


def crop_mask(crop, box, predicted_iou, size=SIZE):
    """Build a mask that is a box XYXY of the original, empty if its sides are equal."""
    x0, y0, x1, y1 = crop
    left, top, right, bottom = box
    scale = CELLS / (x1 - x0)
    logits = np.full((CELLS, CELLS), -8, np.float32)
    rows = slice(round((top - y0) * scale), round((bottom - y0) * scale))
    logits[rows, round((left - x0) * scale) : round((right - x0) * scale)] = 8
    return build_crop_mask(
        crop, ImageTransform((y1 - y0, x1 - x0), SIZE), logits, predicted_iou, size
    )


def pixels_of(mask, size=SIZE):
    return runs_to_mask(mask.runs, (0, 0, size[1], size[0]))


@pytest.mark.parametrize(
    ("crop", "zoom_level"), [((0, 0, 96, 48), 0), ((24, 0, 72, 48), 1), ((60, 20, 84, 44), 2)]
)
def test_mask_of_a_crop_is_moved_into_the_image(crop, zoom_level):
    size = (48, 96)
    x0, y0, x1, y1 = crop
    y, x = np.mgrid[:CELLS, :CELLS]
    logits = (5 - np.hypot(y - 4.3, x - 7.2)).astype(np.float32)
    transform = ImageTransform((y1 - y0, x1 - x0), SIZE)
    mask = build_crop_mask(crop, transform, logits, 0.7, size)
    expected = np.zeros(size, bool)
    expected[y0:y1, x0:x1] = transform.postprocess_masks(logits)
    assert 0 < expected.sum() < (x1 - x0) * (y1 - y0)
    np.testing.assert_array_equal(pixels_of(mask, size), expected)
    assert (mask.box, mask.transform, mask.predicted_iou) == (crop, transform, 0.7)
    np.testing.assert_array_equal(mask.low_res_logits, logits)
    assert mask.zoom_level == zoom_level
    assert mask.score == pytest.approx(0.7 - ZOOM_PENALTY * zoom_level)


@pytest.mark.parametrize(
    ("crop", "box", "is_complete"),
    [
        (CENTER, (24, 24, 40, 40), True),
        (CENTER, (16, 24, 40, 40), False),
        (CENTER, (24, 16, 40, 40), False),
        (CENTER, (24, 24, 48, 40), False),
        (CENTER, (24, 24, 40, 48), False),
        (CENTER, (24, 24, 24, 24), False),  # empty
        (CORNER, (0, 0, 8, 8), True),  # ends where the image ends
        (CORNER, (0, 0, 32, 8), False),
        (IMAGE, (0, 0, 64, 64), True),
    ],
)
def test_masks_that_their_crop_cuts_are_not_complete(crop, box, is_complete):
    assert crop_mask(crop, box, 0.5).is_complete is is_complete


@pytest.mark.parametrize("count", [1, 3, 5])
def test_selection_among_complete_masks_is_greedy(count):
    masks = [
        crop_mask(IMAGE, (24, 24, 40, 40), 0.6),
        crop_mask(IMAGE, (4, 4, 20, 20), 0.5),
        crop_mask(CENTER, (24, 24, 40, 40), 0.62),
        crop_mask(CENTER, (20, 20, 28, 28), 0.4),
        crop_mask((32, 32, 64, 64), (40, 40, 56, 56), 0.58),
    ]
    scores = [0.6, 0.5, 0.62 - ZOOM_PENALTY, 0.4 - ZOOM_PENALTY, 0.58 - ZOOM_PENALTY]
    expected = select_greedily([pixels_of(mask) for mask in masks], scores, count)
    selected, selected_scores = select_crop_masks(masks, count)
    assert selected == [masks[index] for index in expected]
    np.testing.assert_allclose(selected_scores, np.array(scores)[expected], atol=1e-6)


def test_complete_masks_come_before_cut_and_empty_ones():
    complete = crop_mask(IMAGE, (8, 24, 40, 40), 0.3)
    cut = crop_mask(CENTER, (16, 24, 40, 40), 0.95)
    empty = crop_mask(CENTER, (24, 24, 24, 24), 0.9)
    selected, scores = select_crop_masks([empty, cut, complete], 3)
    assert selected == [complete, cut, empty]
    # The scores of the others are limited, so that the first score is the highest.
    np.testing.assert_allclose(scores, [0.3, 0.3, 0.3], atol=1e-6)
    selected, scores = select_crop_masks([empty, cut, complete], 1)
    assert selected == [complete]
    np.testing.assert_allclose(scores, [0.3], atol=1e-6)


def test_without_complete_masks_the_highest_scores_are_selected():
    empty = crop_mask(IMAGE, (8, 8, 8, 8), 0.3)
    cut = crop_mask(CENTER, (16, 24, 40, 40), 0.5)
    selected, scores = select_crop_masks([empty, cut], 2)
    assert selected == [cut, empty]
    np.testing.assert_allclose(scores, [0.5 - ZOOM_PENALTY, 0.3], atol=1e-6)
    assert scores.dtype == np.float32


def test_zoom_decides_between_equal_predictions():
    """A mask of an object's part in a small crop must be clearly better."""
    whole, part = crop_mask(IMAGE, (8, 8, 56, 56), 0.6), crop_mask(CENTER, (24, 24, 32, 32), 0.6)
    assert select_crop_masks([part, whole], 1)[0] == [whole]
    better = crop_mask(CENTER, (24, 24, 32, 32), 0.6 + 2 * ZOOM_PENALTY)
    assert select_crop_masks([better, whole], 1)[0] == [better]
