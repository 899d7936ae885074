"""`merge_crop_predictions`: masks in windows of an image."""

import math

import numpy as np

from keras_sam.predict.crop_prediction import Look
from keras_sam.predict.merge_crop_predictions import merge_crop_predictions
from keras_sam.predict.select_diverse_masks import rescore_by_agreement, select_diverse_masks
from keras_sam.transforms.image_transform import ImageTransform

SIZE = (64, 64)
SIDE = 16  # of low-res logits


def look(window, boxes, ratings):
    """A look whose masks are boxes, XYXY in pixels of the image."""
    x0, y0, x1, y1 = window
    frame = ImageTransform((y1 - y0, x1 - x0), SIZE)
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
    rated = np.array([0.6, 0.4, 0.605, 0.285, 0.485])  # 0.015 less for a halving
    ratings = rescore_by_agreement(np.array(iou), rated)
    found, found_ratings = merge_crop_predictions(looks, 3, SIZE)
    assert found[0][0].window == everything[ratings.argmax()][0].window
    shown = in_image(found[:1])[0]
    covered = np.array([(shown & other).sum() / (shown | other).sum() for other in masks])
    first = int(ratings.argmax())
    expected = select_diverse_masks(np.array(iou), rated, 3, first=first, covered=covered)
    assert found[1:] == [everything[index] for index in expected[1:]]
    np.testing.assert_allclose(found_ratings, ratings[expected], atol=1e-6)


def test_cut_and_empty_masks_come_last_however_they_are_rated():
    cut = look(HALF, [(16, 24, 40, 40), (24, 24, 24, 24)], [0.95, 0.9])
    looks = [look(WHOLE, [(8, 24, 40, 40)], [0.3]), cut]
    found, ratings = merge_crop_predictions(looks, 3, SIZE)
    np.testing.assert_array_equal(in_image(found[:1]), in_image([(looks[0], 0)]))
    assert found[1:] == [(cut, 0), (cut, 1)]
    assert ratings.argmax() == 0
    assert ratings[0] == np.float32(0.3)


def test_what_ends_at_the_image_is_not_cut():
    looks = [look(WHOLE, [(0, 0, 8, 8)], [0.3]), look((0, 0, 32, 32), [(0, 0, 10, 10)], [0.8])]
    found, _ = merge_crop_predictions(looks, 1, SIZE)
    assert found[0][0].window == looks[1].window


def test_where_nothing_is_whole_the_highest_ratings_are_taken():
    looks = [look(WHOLE, [(8, 8, 8, 8)], [0.3]), look(HALF, [(16, 24, 40, 40)], [0.5])]
    found, ratings = merge_crop_predictions(looks, 2, SIZE)
    assert found == [(looks[1], 0), (looks[0], 0)]
    np.testing.assert_allclose(ratings, [0.485, 0.3], atol=1e-6)


def place(cell, window, size):
    """Where the center of a low-res cell lies on the image, along one axis."""
    return window + (cell + 0.5) * size / SIDE


def bilinear(grid, row, column):
    """A value of a grid between its cells' centers, held at its edges."""
    row, column = (min(max(at, 0), SIDE - 1) for at in (row, column))
    top, left = int(row), int(column)
    down, across = row - top, column - left
    bottom, right = min(top + 1, SIDE - 1), min(left + 1, SIDE - 1)
    above = grid[top, left] * (1 - across) + grid[top, right] * across
    return (
        above * (1 - down)
        + (grid[bottom, left] * (1 - across) + grid[bottom, right] * across) * down
    )


def test_the_first_mask_is_the_mean_of_all_each_where_its_window_shows_it():
    size = (48, 64)  # so that the whole image is padded
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    looks = []
    for window, zoom in (((0, 0, 64, 48), 1), ((16, 8, 48, 40), 2), ((24, 16, 40, 32), 4)):
        x0, y0, x1, y1 = window
        side = max(x1 - x0, y1 - y0)
        rows, columns = (32 - x0) / side * SIDE, (24 - y0) / side * SIDE
        radius = 1.7 * zoom * rng.uniform(0.8, 1.1, (2, 1, 1))
        logits = (radius - np.hypot(y - columns, x - rows)) / zoom + rng.normal(0, 0.1, (2, 16, 16))
        frame = ImageTransform((y1 - y0, x1 - x0), SIZE)
        ratings = rng.uniform(0.5, 0.9, 2).astype(np.float32)
        looks.append(Look(window, frame, logits.astype(np.float32), ratings, None))
    everything = [(one, number) for one in looks for number in range(2)]
    masks = np.zeros((len(everything), *size), bool)
    for mask, (one, number) in zip(masks, everything, strict=True):
        x0, y0, x1, y1 = one.window
        mask[y0:y1, x0:x1] = one.mask(number)
    iou = np.array([[(a & b).sum() / (a | b).sum() for b in masks] for a in masks])
    rated = np.array([one.iou_predictions[k] - 0.015 * one.halvings(size) for one, k in everything])
    best = rescore_by_agreement(iou, rated).argmax()
    look, number = everything[best]
    expected = look.low_res_logits[number].astype(float)
    x0, y0, x1, y1 = look.window
    side = max(x1 - x0, y1 - y0)
    for row in range(SIDE):
        for column in range(SIDE):
            down, right = place(row, y0, side), place(column, x0, side)
            total = share = 0.0
            for (one, k), rating, like in zip(everything, rated, iou[best], strict=True):
                left, top, far_right, bottom = one.window
                if not (left <= right <= far_right and top <= down <= bottom):
                    continue
                scale = SIDE / max(far_right - left, bottom - top)
                probabilities = 1 / (1 + np.exp(-one.low_res_logits[k].astype(float)))
                at = (down - top) * scale - 0.5, (right - left) * scale - 0.5
                weight = math.exp(6 * rating) * like
                total += weight * bilinear(probabilities, *at)
                share += weight
            if share:
                expected[row, column] = math.log(total / (share - total))
    (agreed, its_number), *_ = merge_crop_predictions(looks, 3, size)[0]
    assert agreed.window == look.window
    np.testing.assert_allclose(agreed.low_res_logits[its_number], expected, atol=1e-4)
    assert np.abs(expected - look.low_res_logits[number]).max() > 0.1


def test_masks_that_agree_on_nothing_leave_the_best_one_as_it_is():
    quarters = [(24, 24, 32, 32), (32, 24, 40, 32), (24, 32, 32, 40), (32, 32, 40, 40)]
    looks = [look(WHOLE, [(24, 24, 40, 40)], [0.7]), look(WHOLE, quarters, [0.9] * 4)]
    found, _ = merge_crop_predictions(looks, 1, SIZE)
    assert found == [(looks[0], 0)]
