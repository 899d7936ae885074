"""Clicks against distances by brute force."""

import numpy as np
import pytest

from keras_sam.evaluate import jittered_click, largest_error_click, next_click


def distances(error):
    """Distance of each pixel of an error to the nearest pixel outside it or the image."""
    padded = np.pad(error, 1)
    outside = np.argwhere(~padded)
    result = np.zeros(padded.shape)
    for y, x in np.argwhere(padded):
        result[y, x] = ((outside - (y, x)) ** 2).sum(1).min()
    return np.sqrt(result[1:-1, 1:-1])


def reference_click(mask, target, clicked):
    """The clicker of RITM and SegNext, step by step."""
    missing, excess = distances(target & ~mask), distances(mask & ~target)
    for x, y in clicked:
        missing[y, x] = excess[y, x] = 0
    is_positive = missing.max() > excess.max()
    chosen = missing if is_positive else excess
    ys, xs = np.where(chosen == chosen.max())
    return int(xs[0]), int(ys[0]), int(is_positive)


def test_largest_error_click_equals_the_published_clicker():
    rng = np.random.default_rng(0)
    labels = set()
    for _ in range(30):
        coarse = rng.random((2, 5, 6)) < 0.5
        mask, target = np.kron(coarse, np.ones((3, 3), bool))
        clicked = []
        for _ in range(4):
            click = largest_error_click(mask, target, np.array(clicked))
            assert click == reference_click(mask, target, clicked)
            assert click[:2] not in clicked
            clicked.append(click[:2])
            labels.add(click[2])
    assert labels == {0, 1}


def test_no_click_is_left_when_every_wrong_pixel_was_clicked():
    target = np.zeros((4, 5), bool)
    target[1, 2] = True
    assert largest_error_click(target, target, np.zeros((0, 2), int)) is None
    empty = np.zeros_like(target)
    assert largest_error_click(empty, target, np.zeros((0, 2), int)) == (2, 1, 1)
    assert largest_error_click(empty, target, np.array([[2, 1]])) is None
    assert largest_error_click(target, empty, np.zeros((0, 2), int)) == (2, 1, 0)


def test_next_click_joins_errors_that_touch():
    target, mask = np.zeros((2, 9, 20), bool)
    target[2:7, 4:10] = True  # missing
    mask[2:7, 10:16] = True  # excess, right of it
    x, y, label = next_click(mask, target)
    assert (y, label) == (4, int(x < 10))
    assert 6 <= x <= 13  # at distance 3 from the border of both together
    x, y, label = next_click(target, target)  # without an error, inside the target
    assert (target[y, x], label) == (True, 1)


def test_jittered_clicks_are_uniform_and_repeatable():
    mask = np.zeros((6, 7), bool)
    mask[1:3, 2:6], mask[5, 0] = True, True
    clicks = [jittered_click(mask, 0, "a.png", index) for index in range(2000)]
    counts = np.zeros(mask.shape)
    for x, y in clicks:
        counts[y, x] += 1
    assert counts[~mask].sum() == 0
    assert counts[mask].min() > 0.7 * 2000 / 9
    assert counts[mask].max() < 1.3 * 2000 / 9
    assert clicks == [jittered_click(mask, 0, "a.png", index) for index in range(2000)]
    for key in ((1, "a.png"), (0, "b.png")):
        assert clicks != [jittered_click(mask, *key, index) for index in range(2000)]


def test_an_empty_mask_has_no_random_pixel():
    with pytest.raises(ValueError, match="empty mask"):
        jittered_click(np.zeros((3, 3), bool), 0)
    with pytest.raises(ValueError, match=r"must have shape \(H, W\)"):
        jittered_click(np.ones(3, bool), 0)
