"""Tiles cover an image and overlap enough."""

import numpy as np
import pytest

from keras_sam.predict.tiles import plan_tiles


@pytest.mark.parametrize("size", [(1, 1), (16, 40), (17, 100), (63, 64), (9, 33), (50, 29)])
@pytest.mark.parametrize("overlap", [1, 5, 8])
def test_tiles_cover_the_image_and_overlap(size, overlap):
    tiles = plan_tiles(size, tile_size=16, overlap=overlap)
    seen = np.zeros(size, int)
    for x0, y0, x1, y1 in tiles:
        assert (y1 - y0, x1 - x0) == (min(16, size[0]), min(16, size[1]))
        seen[y0:y1, x0:x1] += 1
    assert seen.min() == 1
    assert tiles == sorted(set(tiles), key=lambda tile: (tile[1], tile[0]))
    for axis in (0, 1):
        starts = sorted({tile[axis] for tile in tiles})
        assert all(16 - step >= overlap for step in np.diff(starts))


def test_no_more_tiles_than_needed():
    assert len(plan_tiles((1024, 1024), tile_size=1024, overlap=256)) == 1
    assert len(plan_tiles((1024, 1792), tile_size=1024, overlap=256)) == 2
    assert len(plan_tiles((1024, 1793), tile_size=1024, overlap=256)) == 3
    assert len(plan_tiles((100_000, 100_000), tile_size=1024, overlap=256)) == 130**2


@pytest.mark.parametrize(("tile_size", "overlap"), [(16, 0), (16, 9), (1, 1), (0, 0)])
def test_senseless_overlaps_are_refused(tile_size, overlap):
    with pytest.raises(ValueError, match="overlap must be at least 1"):
        plan_tiles((20, 20), tile_size=tile_size, overlap=overlap)
