"""`choose_from_looks`: masks in windows of an image."""

import numpy as np

from keras_sam.geometry import ModelFrame
from keras_sam.predict.choose_masks import choose_masks
from keras_sam.predict.look import Look, choose_from_looks

SIZE = (64, 64)
SIDE = 16  # of low-res logits


def look(window, boxes, ratings):
    """A look whose masks are boxes, XYXY in pixels of the image."""
    x0, y0, x1, y1 = window
    frame = ModelFrame((y1 - y0, x1 - x0), SIZE)
    logits = np.full((len(boxes), SIDE, SIDE), -8, np.float32)
    for one, (left, top, right, bottom) in zip(logits, boxes, strict=True):
        scale = SIDE / (x1 - x0)
        rows = slice(round((top - y0) * scale), round((bottom - y0) * scale))
        columns = slice(round((left - x0) * scale), round((right - x0) * scale))
        one[rows, columns] = 8
    return Look(window, frame, logits, np.array(ratings, np.float32), None)


WHOLE, HALF = (0, 0, 64, 64), (16, 16, 48, 48)


def in_image(found):
    """Masks of looks, put into empty images."""
    masks = np.zeros((len(found), *SIZE), bool)
    for mask, (look, number) in zip(masks, found, strict=True):
        x0, y0, x1, y1 = look.window
        mask[y0:y1, x0:x1] = look.mask(number)
    return masks


def test_masks_of_windows_are_compared_where_they_lie_in_the_image():
    looks = [
        look(WHOLE, [(24, 24, 40, 40), (0, 0, 20, 20)], [0.6, 0.4]),
        look(HALF, [(24, 24, 40, 40), (20, 20, 28, 28)], [0.62, 0.3]),
        look((32, 32, 64, 64), [(40, 40, 56, 56)], [0.5]),
    ]
    everything = [(one, number) for one in looks for number in range(len(one.iou_predictions))]
    masks = in_image(everything)
    iou = [[(one & other).sum() / (one | other).sum() for other in masks] for one in masks]
    rated = np.array([0.6, 0.4, 0.6, 0.28, 0.48])  # 0.02 less for a halving
    expected, expected_ratings = choose_masks(np.array(iou), rated, 3)
    found, ratings = choose_from_looks(looks, 3, SIZE)
    assert found == [everything[index] for index in expected]
    np.testing.assert_allclose(ratings, expected_ratings, atol=1e-6)


def test_cut_and_empty_masks_come_last_however_they_are_rated():
    cut = look(HALF, [(16, 24, 40, 40), (24, 24, 24, 24)], [0.95, 0.9])
    looks = [look(WHOLE, [(8, 24, 40, 40)], [0.3]), cut]
    found, ratings = choose_from_looks(looks, 3, SIZE)
    assert found == [(looks[0], 0), (cut, 0), (cut, 1)]
    assert ratings.argmax() == 0
    assert ratings[0] == np.float32(0.3)


def test_what_ends_at_the_image_is_not_cut():
    looks = [look(WHOLE, [(0, 0, 8, 8)], [0.3]), look((0, 0, 32, 32), [(0, 0, 10, 10)], [0.8])]
    found, _ = choose_from_looks(looks, 1, SIZE)
    assert found == [(looks[1], 0)]


def test_where_nothing_is_whole_the_highest_ratings_are_taken():
    looks = [look(WHOLE, [(8, 8, 8, 8)], [0.3]), look(HALF, [(16, 24, 40, 40)], [0.5])]
    found, ratings = choose_from_looks(looks, 2, SIZE)
    assert found == [(looks[1], 0), (looks[0], 0)]
    np.testing.assert_allclose(ratings, [0.48, 0.3], atol=1e-6)
