"""The legend next to the image."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.drawing.legend import add_legend

COLORS = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200], [30, 200, 30]], np.float64)
LABELS = np.zeros((90, 90), np.int32)
LABELS[10:50, 10:50], LABELS[60:80, 60:80] = 1, 2
IMAGE = np.full((900, 900, 3), 128, np.uint8)


def records(*values, **entries):
    masks = [label == LABELS for label in range(1, len(values) + 1)]
    return [
        mask_to_record(mask, **entries)
        if value is None
        else mask_to_record(mask, predicted_iou=value)
        for mask, value in zip(masks, values, strict=True)
    ]


def bar_length(overlay, color):
    """Return the width in pixels of a color to the right of the badges."""
    return (overlay[:, 960:] == color).all(axis=2).sum(axis=1).max()


def test_badges_are_inside_their_masks():
    image = add_legend(IMAGE, records(0.9, 0.8), LABELS, COLORS)
    np.testing.assert_array_equal(image[300, 292], COLORS[1])
    np.testing.assert_array_equal(image[700, 692], COLORS[2])
    np.testing.assert_array_equal(image[100:200, 600:800], IMAGE[100:200, 600:800])


def test_bars_are_longer_for_higher_scores():
    image = add_legend(IMAGE, records(0.9, 0.6), LABELS, COLORS)
    assert bar_length(image, COLORS[1]) > 2 * bar_length(image, COLORS[2]) > 10


def test_bars_are_areas_if_a_score_is_missing():
    image = add_legend(IMAGE, records(None, 0.9), LABELS, COLORS)
    assert bar_length(image, COLORS[1]) > bar_length(image, COLORS[2])


def test_badges_do_not_overlap():
    labels = np.ones((90, 90), np.int32)
    labels[44:47, 44:47] = 2
    image = add_legend(IMAGE, records(0.9, 0.8), labels, COLORS)
    left_part = image[:, :900]
    for color in COLORS[1:3]:
        assert (left_part == color).all(axis=2).sum() > 100


@pytest.mark.parametrize("size", [(900, 900), (900, 300), (40, 900)])
def test_column_is_at_least_as_high_as_its_rows(size):
    image = add_legend(IMAGE[: size[0], : size[1]], records(0.9, 0.8), LABELS, COLORS)
    assert image.shape[0] >= max(size[0], 140)
    assert image.shape[1] > size[1] + 150


def test_hidden_masks_are_counted_but_not_listed():
    visible = add_legend(IMAGE, records(0.9, 0.8), LABELS, COLORS)
    hidden = add_legend(IMAGE, records(0.9, 0.8, 0.95), LABELS, COLORS)
    assert bar_length(hidden, COLORS[3]) == 0
    assert (visible != hidden).any()
