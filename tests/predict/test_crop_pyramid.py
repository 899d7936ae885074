"""Windows around boxes of any place and size."""

import numpy as np
import pytest

from keras_sam.predict.crop_pyramid import crop_pyramid


@pytest.mark.parametrize("size", [(300, 500), (640, 256), (37, 1000), (20, 24), (1024, 1024)])
def test_a_window_shows_the_box_and_what_is_around_it(size):
    rng = np.random.default_rng(0)
    height, width = size
    for _ in range(300):
        x0, x1 = sorted(rng.uniform(0, width, 2) * [1, rng.uniform(0, 1)])
        y0, y1 = sorted(rng.uniform(0, height, 2) * [1, rng.uniform(0, 1)])
        left, top, right, bottom = crop_pyramid((x0, y0, x1, y1), size)[-1]
        assert (0 <= left <= x0, x1 <= right <= width) == (True, True)
        assert (0 <= top <= y0, y1 <= bottom <= height) == (True, True)
        # A twelfth of the window is around the box at least, where the image reaches that far.
        side = max(right - left, bottom - top)
        assert side >= min(32, max(size))
        for low, high, start, stop, length in (
            (x0, x1, left, right, width),
            (y0, y1, top, bottom, height),
        ):
            if side < max(size):
                assert start == 0 or low - start >= side / 12 - 1
                assert stop == length or stop - high >= side / 12 - 1
                assert min(length, side) == stop - start


def test_windows_get_as_small_as_their_box_allows():
    size = (512, 1024)
    for side, closest in (
        (200, 1024),
        (160, 512),
        (80, 256),
        (40, 128),
        (20, 64),
        (10, 32),
        (1, 32),
    ):
        windows = crop_pyramid((300, 200, 300 + side, 200 + side / 2), size)
        sides = [(right - left, bottom - top) for left, top, right, bottom in windows]
        expected = [1024 >> halvings for halvings in range(int(np.log2(1024 / closest)) + 1)]
        assert sides == [(one, min(one, 512)) for one in expected]


def test_neighbors_share_windows():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 246, (500, 2))
    closest = {crop_pyramid((x, y, x + 10, y + 10), (256, 256))[-1] for x, y in corners}
    assert len(closest) <= 15 * 15
