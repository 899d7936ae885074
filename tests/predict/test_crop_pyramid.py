"""Crops around boxes of any position and size."""

import numpy as np
import pytest

from keras_sam.predict.crop_pyramid import crop_pyramid


@pytest.mark.parametrize("size", [(300, 500), (640, 256), (37, 1000), (20, 24), (1024, 1024)])
def test_each_crop_contains_the_box_with_context(size):
    rng = np.random.default_rng(0)
    height, width = size
    for _ in range(300):
        x0, x1 = sorted(rng.uniform(0, width, 2) * [1, rng.uniform(0, 1)])
        y0, y1 = sorted(rng.uniform(0, height, 2) * [1, rng.uniform(0, 1)])
        crops = crop_pyramid((x0, y0, x1, y1), size)
        assert crops[0] == (0, 0, width, height)
        for left, top, right, bottom in crops[1:]:
            side = max(right - left, bottom - top)
            assert side >= min(32, max(size))
            for low, high, start, stop, length in (
                (x0, x1, left, right, width),
                (y0, y1, top, bottom, height),
            ):
                assert 0 <= start <= low
                assert high <= stop <= length
                assert stop - start == min(length, side)
                # At least a twelfth of the crop surrounds the box, unless the image ends there.
                assert start == 0 or low - start >= side / 12 - 1
                assert stop == length or stop - high >= side / 12 - 1


@pytest.mark.parametrize(
    ("box_width", "smallest"),
    [(200, 1024), (160, 512), (80, 256), (40, 128), (20, 64), (10, 32), (1, 32)],
)
def test_crops_halve_down_to_three_times_the_box(box_width, smallest):
    crops = crop_pyramid((300, 200, 300 + box_width, 200 + box_width / 2), (512, 1024))
    sizes = [(right - left, bottom - top) for left, top, right, bottom in crops]
    sides = [1024 >> level for level in range(int(np.log2(1024 / smallest)) + 1)]
    assert sizes == [(side, min(side, 512)) for side in sides]


def test_nearby_boxes_share_crops():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 246, (500, 2))
    crops = {crop_pyramid((x, y, x + 10, y + 10), (256, 256))[-1] for x, y in corners}
    assert len(crops) <= 15 * 15  # crops of 32 pixels that overlap by half
