"""Objects cut by tiles come back whole: the oracle is the label map that was cut."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from keras_sam.masks.run_length_mask import mask_to_runs, runs_to_mask
from keras_sam.predict.tile_merger import Piece, TileMerger
from keras_sam.predict.tiles import plan_tiles

SIZE = (60, 90)


def discs(size, count, seed):
    """A label map of overlapping discs, with holes in some; each number is one connected object."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, int)
    for label in range(1, count + 1):
        cx, cy, radius = random.uniform(0, 1, 3) * (size[1], size[0], 22)
        squared = (x - cx) ** 2 + (y - cy) ** 2
        labels[(squared < radius**2) & (squared > (label % 2) * (radius / 2) ** 2)] = label
    parts = np.zeros_like(labels)
    for label in range(1, count + 1):
        found, _ = ndimage.label(labels == label, np.ones((3, 3)))
        parts = np.where(found, found + parts.max(), parts)
    return parts


def pieces_of(labels, tile, number, ratings=None):
    x0, y0, x1, y1 = tile
    window = labels[y0:y1, x0:x1]
    return [
        Piece(mask_to_runs(window == label).shifted(x0, y0), number, (ratings or {}).get(label, 0.5))
        for label in np.unique(window[window > 0]).tolist()
    ]


def merged_steps(labels, *, tile_size, overlap, agreement=0.7):
    tiles = plan_tiles(labels.shape, tile_size=tile_size, overlap=overlap)
    merger = TileMerger(tiles, labels.shape, agreement=agreement)
    return [
        merger.add(number, pieces_of(labels, tile, number)) for number, tile in enumerate(tiles)
    ]


def merged(labels, **options):
    return list(itertools.chain.from_iterable(merged_steps(labels, **options)))


def as_masks(found, size):
    masks = [runs_to_mask(mask.runs, (0, 0, size[1], size[0])) for mask in found]
    return sorted(mask.tobytes() for mask in masks)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("tile_size", "overlap"), [(16, 8), (24, 5), (32, 16), (40, 2)])
def test_a_label_map_comes_back(seed, tile_size, overlap):
    labels = discs(SIZE, 14, seed)
    expected = [labels == label for label in np.unique(labels[labels > 0])]
    found = merged(labels, tile_size=tile_size, overlap=overlap)
    assert as_masks(found, SIZE) == sorted(mask.tobytes() for mask in expected)


def test_stripes_that_meet_at_a_seam_stay_apart():
    """Neighbors that touch each other in the overlap, and run through every tile of a row."""
    labels = np.repeat(np.arange(1, 21), 3)[:, None].repeat(90, axis=1)
    found = merged(labels, tile_size=16, overlap=4)
    assert sorted(mask.runs.area for mask in found) == [270] * 20
    labels = labels[:, :60].T
    found = merged(np.ascontiguousarray(labels), tile_size=16, overlap=4)
    assert sorted(mask.runs.area for mask in found) == [180] * 20


def test_a_ring_around_a_corner_of_four_tiles():
    labels = np.zeros((28, 28), int)
    labels[6:22, 6:22] = 1
    labels[10:18, 10:18] = 0
    (mask,) = merged(labels, tile_size=16, overlap=4)
    np.testing.assert_array_equal(runs_to_mask(mask.runs, (0, 0, 28, 28)), labels == 1)


def test_objects_are_finished_as_soon_as_no_tile_can_add_to_them():
    labels = np.zeros((16, 40), int)
    labels[4:12, 2:8] = 1  # in the first of three tiles alone
    labels[4:12, 10:14] = 2  # in the first and the second
    labels[2:3, 1:39] = 3
    steps = merged_steps(labels, tile_size=16, overlap=4)
    assert [sorted(mask.runs.area for mask in found) for found in steps] == [[48], [32], [38]]


def test_a_whole_view_is_taken_as_it_is_and_tells_the_scores():
    """The better rated view is cut: it shows less of the object."""
    tiles = [(0, 0, 16, 16), (8, 0, 24, 16)]
    merger = TileMerger(tiles, (16, 24), agreement=0.7)
    whole, cut = np.zeros((16, 24), bool), np.zeros((16, 24), bool)
    whole[4:10, 9:20] = True
    cut[3:10, 9:16] = True  # one row more
    first = Piece(mask_to_runs(cut), 0, 0.95)
    second = Piece(mask_to_runs(whole), 1, 0.9)
    assert merger.add(0, [first]) == []
    (mask,) = merger.add(1, [second])
    assert mask.best is second
    np.testing.assert_array_equal(runs_to_mask(mask.runs, (0, 0, 24, 16)), whole)


def test_of_two_whole_views_the_better_rated_one_is_kept():
    tiles = [(0, 0, 16, 16), (4, 0, 20, 16)]
    merger = TileMerger(tiles, (16, 20), agreement=0.7)
    views = np.zeros((2, 16, 20), bool)
    views[0, 4:12, 6:12] = views[1, 4:12, 6:11] = True
    merger.add(0, [Piece(mask_to_runs(views[0]), 0, 0.7)])
    (mask,) = merger.add(1, [Piece(mask_to_runs(views[1]), 1, 0.8)])
    assert mask.runs.area == 40


def test_a_box_alone_makes_no_duplicate():
    """Two masks of one box, crossed diagonals, are two objects."""
    tiles = [(0, 0, 16, 16), (4, 0, 20, 16)]
    merger = TileMerger(tiles, (16, 20), agreement=0.5)
    views = np.zeros((2, 16, 20), bool)
    views[0, 4:12, 6:14] = np.eye(8)
    views[1, 4:12, 6:14] = np.eye(8)[::-1]
    merger.add(0, [Piece(mask_to_runs(views[0]), 0, 0.7)])
    assert len(merger.add(1, [Piece(mask_to_runs(views[1]), 1, 0.8)])) == 2


def test_a_whole_and_its_part_stay_two_objects():
    """Both are in both tiles; the pairs that agree most are united."""
    tiles = [(0, 0, 16, 16), (8, 0, 24, 16)]
    merger = TileMerger(tiles, (16, 24), agreement=0.5)
    whole, part = np.zeros((16, 24), bool), np.zeros((16, 24), bool)
    whole[2:14, 2:22] = True
    part[2:10, 2:22] = True
    for number, (x0, _, x1, _) in enumerate(tiles):
        pieces = []
        for mask in (whole, part):
            shown = np.zeros_like(mask)
            shown[:, x0:x1] = mask[:, x0:x1]
            pieces.append(Piece(mask_to_runs(shown), number, 0.9))
        found = merger.add(number, pieces)
    assert sorted(mask.runs.area for mask in found) == [160, 240]


def bridge(*, with_parts=False):
    """An arch of two legs in the first tile; the second shows it from its top to the seam."""
    arch, left, right = np.zeros((3, 24, 16), bool)
    arch[18:22, 2:14] = arch[4:20, 2:5] = arch[4:20, 11:14] = True
    left[4:16, 2:5] = right[4:16, 11:14] = True
    arch[:8] = False
    merger = TileMerger([(0, 0, 16, 16), (0, 8, 16, 24)], (24, 16), agreement=0.7)
    merger.add(0, [Piece(mask_to_runs(leg), 0, 0.9) for leg in (left, right)])
    shown = [arch]
    if with_parts:
        shown += [arch & (np.arange(16) < 6), arch & (np.arange(16) > 9)]
    found = merger.add(1, [Piece(mask_to_runs(mask), 1, 0.8) for mask in shown])
    return sorted(mask.runs.area for mask in found), arch | left | right


def test_legs_that_another_tile_shows_as_one_are_one():
    areas, expected = bridge()
    assert areas == [expected.sum()]


def test_legs_that_another_tile_shows_apart_too_stay_apart():
    areas, _ = bridge(with_parts=True)
    assert len(areas) == 3


def test_what_a_tile_shows_whole_is_no_part():
    """Two cars that fill a parking lot, which the other tile alone has found."""
    cars, lot = np.zeros((2, 24, 16), bool), np.zeros((24, 16), bool)
    cars[0, 9:15, 2:8] = cars[1, 9:15, 8:14] = lot[9:20, 2:14] = True
    merger = TileMerger([(0, 0, 16, 16), (0, 8, 16, 24)], (24, 16), agreement=0.7)
    merger.add(0, [Piece(mask_to_runs(car), 0, 0.9) for car in cars])
    found = merger.add(1, [Piece(mask_to_runs(lot), 1, 0.8)])
    assert sorted(mask.runs.area for mask in found) == [36, 36, 132]


def test_a_cut_piece_that_nothing_answers():
    """It is kept where no other tile shows all of it, and left out where one does."""
    tiles = [(0, 0, 16, 16), (8, 0, 24, 16)]
    mask = np.zeros((16, 24), bool)
    mask[4:10, 12:16] = True
    merger = TileMerger(tiles, (16, 24), agreement=0.7)
    merger.add(0, [Piece(mask_to_runs(mask), 0, 0.9)])
    assert merger.add(1, []) == []
    mask[4:10, 4:12] = True
    merger = TileMerger(tiles, (16, 24), agreement=0.7)
    merger.add(0, [Piece(mask_to_runs(mask), 0, 0.9)])
    (kept,) = merger.add(1, [])
    assert kept.runs.area == 72


@pytest.mark.parametrize("agreement", [0, 1.01, float("nan")])
def test_senseless_agreements_are_refused(agreement):
    with pytest.raises(ValueError, match="agreement must be"):
        TileMerger([(0, 0, 2, 2)], (2, 2), agreement=agreement)
