"""A predicted mask in blue, and the outline of its target in orange."""

import numpy as np
import pytest

from keras_sam.drawing.draw_comparison import TARGET_COLOR, draw_comparison
from keras_sam.drawing.overlay import COLORS, FILL_OPACITY

IMAGE = np.full((60, 80, 3), 100, np.uint8)


def rectangle(y0, y1, x0, x1):
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_the_mask_is_filled_and_the_target_is_outlined():
    drawn = draw_comparison(IMAGE, rectangle(10, 50, 10, 40), rectangle(10, 50, 30, 70))
    filled = (1 - FILL_OPACITY) * 100 + FILL_OPACITY * np.array(COLORS[0])
    np.testing.assert_allclose(drawn[30, 55], filled, atol=1)  # only in the mask
    np.testing.assert_array_equal(drawn[30, 20], IMAGE[30, 20])  # only in the target
    np.testing.assert_array_equal(drawn[5, 75], IMAGE[5, 75])  # in neither
    for y, x in [(30, 10), (30, 39), (10, 25), (49, 35)]:
        np.testing.assert_allclose(drawn[y, x], TARGET_COLOR, atol=40)


def test_the_target_is_visible_without_a_mask():
    drawn = draw_comparison(IMAGE, rectangle(10, 50, 10, 40), rectangle(0, 0, 0, 0))
    changed = (drawn != IMAGE).any(axis=-1)
    assert changed[10, 10:40].all()
    assert not changed[20:40, 20:30].any()


def test_wrong_sizes_raise():
    mask = rectangle(10, 50, 10, 40)
    with pytest.raises(ValueError, match="target must have the size"):
        draw_comparison(IMAGE, mask[:-1], mask)
    with pytest.raises(ValueError, match="masks must be boolean"):
        draw_comparison(IMAGE, mask, mask[:-1])
