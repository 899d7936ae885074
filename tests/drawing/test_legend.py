"""The legend beside the picture."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import mask_to_record
from keras_sam.drawing.legend import add_legend

COLORS = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200], [30, 200, 30]], np.float64)
LABELS = np.zeros((90, 90), np.int32)
LABELS[10:50, 10:50], LABELS[60:80, 60:80] = 1, 2
PICTURE = np.full((900, 900, 3), 128, np.uint8)


def records(*values, **facts):
    masks = [label == LABELS for label in range(1, len(values) + 1)]
    return [
        mask_to_record(mask, **facts)
        if value is None
        else mask_to_record(mask, predicted_iou=value)
        for mask, value in zip(masks, values, strict=True)
    ]


def length_of_bar(picture, color):
    """Pixels of a color in the widest of its rows, right of the badges."""
    return (picture[:, 960:] == color).all(axis=2).sum(axis=1).max()


def test_badges_stand_in_their_masks():
    picture = add_legend(PICTURE, records(0.9, 0.8), LABELS, COLORS)
    np.testing.assert_array_equal(picture[300, 292], COLORS[1])
    np.testing.assert_array_equal(picture[700, 692], COLORS[2])
    np.testing.assert_array_equal(picture[100:200, 600:800], PICTURE[100:200, 600:800])


def test_bars_grow_with_the_score():
    picture = add_legend(PICTURE, records(0.9, 0.6), LABELS, COLORS)
    assert length_of_bar(picture, COLORS[1]) > 2 * length_of_bar(picture, COLORS[2]) > 10


def test_without_scores_bars_are_shares_of_the_image():
    picture = add_legend(PICTURE, records(None, 0.9), LABELS, COLORS)
    assert length_of_bar(picture, COLORS[1]) > length_of_bar(picture, COLORS[2])


def test_badges_keep_clear_of_each_other():
    labels = np.ones((90, 90), np.int32)
    labels[44:47, 44:47] = 2
    picture = add_legend(PICTURE, records(0.9, 0.8), labels, COLORS)
    in_picture = picture[:, :900]
    for color in COLORS[1:3]:
        assert (in_picture == color).all(axis=2).sum() > 100


@pytest.mark.parametrize("size", [(900, 900), (900, 300), (40, 900)])
def test_the_column_is_as_high_as_it_needs(size):
    picture = add_legend(PICTURE[: size[0], : size[1]], records(0.9, 0.8), LABELS, COLORS)
    assert picture.shape[0] >= max(size[0], 140)
    assert picture.shape[1] > size[1] + 150


def test_hidden_masks_are_counted_but_not_listed():
    shown = add_legend(PICTURE, records(0.9, 0.8), LABELS, COLORS)
    hidden = add_legend(PICTURE, records(0.9, 0.8, 0.95), LABELS, COLORS)
    assert length_of_bar(hidden, COLORS[3]) == 0
    assert (shown != hidden).any()
