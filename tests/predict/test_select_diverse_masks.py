"""Ratings by other masks, and the choice of masks, against plain sums over masks."""

import math
from itertools import pairwise

import numpy as np
import pytest

from keras_sam.predict.select_diverse_masks import rescore_by_agreement, select_diverse_masks


def iou_of(masks):
    return np.array([[(a & b).sum() / (a | b).sum() for b in masks] for a in masks])


def spans(*ends):
    """Masks of a line of 100 pixels."""
    x = np.arange(100)
    return [(x >= start) & (x < stop) for start, stop in ends]


def choose(iou, rated, count):
    """The masks chosen behind the one that the others rate best, and the ratings of all."""
    ratings = rescore_by_agreement(iou, rated)
    first = int(ratings.argmax())
    return select_diverse_masks(iou, rated, count, first=first, covered=iou[first]), ratings


def test_ratings_and_choice_are_those_of_the_formula():
    rng = np.random.default_rng(4)
    masks = [rng.random(40) < share for share in (0.3, 0.5, 0.8, 0.4, 0.6, 0.7)]
    iou, rated = iou_of(masks), rng.uniform(0.2, 0.9, 6)
    weights = [math.exp(6 * rating) for rating in rated]
    expected = []
    for i, own in enumerate(rated):
        others = [j for j in range(6) if j != i]
        total = sum(weights[j] for j in others)
        expected.append((own + sum(weights[j] * iou[i, j] for j in others) / total) / 2)

    def covered(chosen):
        return sum(weights[j] * max(iou[i, j] for i in chosen) for j in range(6))

    chosen, ratings = choose(iou, rated, 4)
    assert expected[chosen[0]] == max(expected)
    for count, (_, index) in enumerate(pairwise(chosen), start=1):
        before = list(chosen[:count])
        gains = {j: covered([*before, j]) for j in range(6) if j not in before}
        assert gains[index] == max(gains.values())
    np.testing.assert_allclose(ratings, expected, rtol=1e-6)


def test_what_is_shown_in_place_of_the_first_is_what_is_covered():
    masks = spans((0, 50), (0, 30), (60, 80))
    iou, rated = iou_of(masks), np.array([0.8, 0.7, 0.4])
    assert select_diverse_masks(iou, rated, 2, first=0, covered=iou[0]).tolist() == [0, 1]
    shown = spans((0, 31))[0]
    covered = iou_of([shown, *masks])[0, 1:]
    assert select_diverse_masks(iou, rated, 2, first=0, covered=covered).tolist() == [0, 2]


def test_what_is_found_twice_takes_one_place():
    masks = spans((0, 50), (0, 51), (0, 49), (60, 80))
    chosen, ratings = choose(iou_of(masks), np.array([0.8, 0.79, 0.78, 0.4]), 2)
    assert chosen.tolist() == [0, 3]
    assert ratings[0] > ratings[3]


def test_a_mask_that_others_confirm_is_rated_higher():
    masks = spans((0, 50), (0, 51), (60, 80))
    _, ratings = choose(iou_of(masks), np.array([0.7, 0.7, 0.72]), 3)
    assert ratings.argmax() in (0, 1)


def test_one_mask_keeps_its_rating_and_ratings_out_of_range_are_taken():
    chosen, ratings = choose(np.eye(1), np.array([0.6], np.float32), 1)
    assert chosen.tolist() == [0]
    assert ratings == np.float32(0.6)
    _, ratings = choose(np.eye(2), np.array([900.0, -900.0]), 2)
    assert np.isfinite(ratings).all()


@pytest.mark.parametrize("count", [0, 3])
def test_more_masks_than_there_are_is_an_error(count):
    with pytest.raises(ValueError, match="2 masks"):
        select_diverse_masks(np.eye(2), np.array([0.5, 0.5]), count, first=0, covered=np.eye(2)[0])
