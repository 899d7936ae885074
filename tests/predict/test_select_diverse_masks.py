"""Selection of masks against the greedy algorithm on arrays."""

import numpy as np
import pytest

from keras_sam.predict.select_diverse_masks import select_diverse_masks
from tests.predict.reference_selection import expected_iou, iou, select_greedily


def iou_matrix(masks):
    return np.array([[iou(mask, other) for other in masks] for mask in masks])


def intervals(*ends):
    """Return masks of a row of 100 pixels."""
    x = np.arange(100)
    return [(x >= start) & (x < stop) for start, stop in ends]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_selection_is_greedy(seed, count):
    rng = np.random.default_rng(seed)
    masks = [rng.random(40) < density for density in (0.3, 0.5, 0.8, 0.4, 0.6, 0.7)]
    scores = rng.uniform(-0.2, 1.2, 6)
    selected = select_diverse_masks(iou_matrix(masks), scores, count)
    assert selected.tolist() == select_greedily(masks, scores, count)


def test_selection_is_close_to_the_best_one():
    """A greedy solution has at least 1 - 1 / e of the best expected IoU."""
    rng = np.random.default_rng(5)
    masks, scores = [rng.random(30) < 0.4 for _ in range(6)], rng.uniform(0.4, 0.6, 6)
    selected = select_diverse_masks(iou_matrix(masks), scores, 2)
    best = max(expected_iou(masks, scores, (i, j)) for i in range(6) for j in range(i))
    assert expected_iou(masks, scores, selected) >= (1 - 1 / np.e) * best


def test_near_duplicates_are_selected_once():
    masks = intervals((0, 50), (0, 51), (0, 49), (60, 80))
    scores = np.array([0.8, 0.79, 0.78, 0.4])
    assert select_diverse_masks(iou_matrix(masks), scores, 2).tolist() == [0, 3]


def test_among_equally_different_masks_the_higher_score_is_selected():
    masks = intervals((0, 20), (30, 50), (60, 80))
    scores = np.array([0.5, 0.3, 0.4])
    assert select_diverse_masks(iou_matrix(masks), scores, 3).tolist() == [0, 2, 1]


def test_scores_of_any_size_are_accepted():
    selected = select_diverse_masks(np.eye(3), np.array([900.0, -900.0, 1.0], np.float32), 3)
    assert selected.tolist() == [0, 2, 1]


@pytest.mark.parametrize("count", [0, 3])
def test_wrong_count_raises(count):
    with pytest.raises(ValueError, match=rf"count must be in 1\.\.2.* got {count}"):
        select_diverse_masks(np.eye(2), np.array([0.5, 0.5]), count)
