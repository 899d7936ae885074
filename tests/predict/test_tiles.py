"""Tiles that cover an image."""

import numpy as np
import pytest

from keras_sam.predict.tiles import plan_tiles


@pytest.mark.parametrize("size", [(1, 1), (16, 40), (17, 100), (63, 64), (9, 33), (50, 29)])
@pytest.mark.parametrize("overlap", [1, 5, 8])
def test_tiles_cover_the_image_and_overlap(size, overlap):
    tiles = plan_tiles(size, tile_size=16, overlap=overlap)
    covered = np.zeros(size, int)
    for x0, y0, x1, y1 in tiles:
        assert (y1 - y0, x1 - x0) == (min(16, size[0]), min(16, size[1]))
        covered[y0:y1, x0:x1] += 1
    assert covered.min() == 1
    assert tiles == sorted(set(tiles), key=lambda tile: (tile[1], tile[0]))
    for axis in (0, 1):
        starts = sorted({tile[axis] for tile in tiles})
        assert all(16 - step >= overlap for step in np.diff(starts))


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ((1024, 1024), 1),
        ((1024, 1792), 2),
        ((1024, 1793), 3),
        ((100_000, 100_000), 130**2),
    ],
)
def test_there_are_no_more_tiles_than_needed(size, count):
    assert len(plan_tiles(size, tile_size=1024, overlap=256)) == count


@pytest.mark.parametrize(("tile_size", "overlap"), [(16, 0), (16, 9), (1, 1), (0, 0)])
def test_wrong_overlap_raises(tile_size, overlap):
    with pytest.raises(ValueError, match="overlap must be at least 1"):
        plan_tiles((20, 20), tile_size=tile_size, overlap=overlap)


@pytest.mark.parametrize("size", [(0, 5), (5,), (5.0, 5), None])
def test_wrong_size_raises(size):
    with pytest.raises(ValueError, match=r"size must be \(height, width\)"):
        plan_tiles(size, tile_size=16, overlap=4)
