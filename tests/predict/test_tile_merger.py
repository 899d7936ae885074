"""Objects that tiles cut. The oracle is the label map that was cut."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from keras_sam.masks.run_length_mask import mask_to_runs, runs_to_mask
from keras_sam.predict.tile_merger import TileMask, TileMerger
from keras_sam.predict.tiles import plan_tiles

SIZE = (60, 90)
SIDE_BY_SIDE = [(0, 0, 16, 16), (8, 0, 24, 16)]
SIZE_SIDE_BY_SIDE = (16, 24)
STACKED = [(0, 0, 16, 16), (0, 8, 16, 24)]
SIZE_STACKED = (24, 16)


def draw_discs(size, count, seed):
    """Return a label map of overlapping discs, some with holes. Each label is one region."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    labels = np.zeros(size, int)
    for label in range(1, count + 1):
        cx, cy, radius = rng.uniform(0, 1, 3) * (size[1], size[0], 22)
        squared = (x - cx) ** 2 + (y - cy) ** 2
        labels[(squared < radius**2) & (squared > (label % 2) * (radius / 2) ** 2)] = label
    regions = np.zeros_like(labels)
    for label in range(1, count + 1):
        parts, _ = ndimage.label(labels == label, np.ones((3, 3)))
        regions = np.where(parts, parts + regions.max(), regions)
    return regions


def tile_masks(labels, tile, index):
    """Return the part of each object inside a tile."""
    x0, y0, x1, y1 = tile
    pixels = labels[y0:y1, x0:x1]
    return [
        TileMask(mask_to_runs(pixels == label).shifted(x0, y0), index, 0.5)
        for label in np.unique(pixels[pixels > 0]).tolist()
    ]


def merge_tile_by_tile(labels, *, tile_size, overlap):
    tiles = plan_tiles(labels.shape, tile_size=tile_size, overlap=overlap)
    merger = TileMerger(tiles, labels.shape, iou_threshold=0.7)
    return [merger.add(index, tile_masks(labels, tile, index)) for index, tile in enumerate(tiles)]


def merge(labels, **options):
    return list(itertools.chain.from_iterable(merge_tile_by_tile(labels, **options)))


def to_mask(merged, size):
    return runs_to_mask(merged.runs, (0, 0, size[1], size[0]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("tile_size", "overlap"), [(16, 8), (24, 5), (32, 16), (40, 2)])
def test_objects_of_a_label_map_are_restored(seed, tile_size, overlap):
    labels = draw_discs(SIZE, 14, seed)
    expected = [labels == label for label in np.unique(labels[labels > 0])]
    masks = [
        to_mask(merged, SIZE) for merged in merge(labels, tile_size=tile_size, overlap=overlap)
    ]
    assert sorted(map(np.ndarray.tobytes, masks)) == sorted(map(np.ndarray.tobytes, expected))


@pytest.mark.parametrize("is_vertical", [False, True])
def test_stripes_that_touch_each_other_stay_separate(is_vertical):
    """Stripes extend over all tiles of a row, or of a column."""
    labels = np.repeat(np.arange(1, 21), 3)[:, None].repeat(60, axis=1)
    labels = np.ascontiguousarray(labels.T) if is_vertical else labels
    merged = merge(labels, tile_size=16, overlap=4)
    assert [mask.runs.area for mask in merged] == [180] * 20


def test_a_ring_around_the_corner_of_four_tiles_is_one_object():
    labels = np.zeros((28, 28), int)
    labels[6:22, 6:22] = 1
    labels[10:18, 10:18] = 0
    (mask,) = merge(labels, tile_size=16, overlap=4)
    np.testing.assert_array_equal(to_mask(mask, (28, 28)), labels == 1)


def test_objects_are_finished_when_no_later_tile_can_extend_them():
    labels = np.zeros((16, 40), int)
    labels[4:12, 2:8] = 1  # only in the first of three tiles
    labels[4:12, 10:14] = 2  # in the first and the second
    labels[2:3, 1:39] = 3
    steps = merge_tile_by_tile(labels, tile_size=16, overlap=4)
    assert [sorted(mask.runs.area for mask in merged) for merged in steps] == [[48], [32], [38]]


def test_finished_objects_are_ordered_by_tile_and_predicted_iou():
    merger = TileMerger(SIDE_BY_SIDE, SIZE_SIDE_BY_SIDE, iou_threshold=0.7)
    pixels = np.zeros((4, *SIZE_SIDE_BY_SIDE), bool)
    pixels[0, 2:4, 9:12] = pixels[1, 6:8, 9:12] = pixels[2, 10:12, 9:12] = True
    pixels[3, 13:15, 18:20] = True
    masks = [
        TileMask(mask_to_runs(mask), int(index == 3), 0.1 * index)
        for index, mask in enumerate(pixels)
    ]
    assert merger.add(0, masks[:3]) == []
    assert [merged.best for merged in merger.add(1, masks[3:])] == [masks[i] for i in (2, 1, 0, 3)]


def test_an_uncut_mask_represents_the_object():
    """The mask with the higher predicted IoU is cut, so it contains less of the object."""
    merger = TileMerger(SIDE_BY_SIDE, SIZE_SIDE_BY_SIDE, iou_threshold=0.7)
    whole, cut = np.zeros((2, *SIZE_SIDE_BY_SIDE), bool)
    whole[4:10, 9:20] = True
    cut[3:10, 9:16] = True  # one row more
    second = TileMask(mask_to_runs(whole), 1, 0.9)
    assert merger.add(0, [TileMask(mask_to_runs(cut), 0, 0.95)]) == []
    (merged,) = merger.add(1, [second])
    assert merged.best is second
    np.testing.assert_array_equal(to_mask(merged, SIZE_SIDE_BY_SIDE), whole)


def test_of_two_uncut_masks_the_higher_predicted_iou_is_kept():
    merger = TileMerger([(0, 0, 16, 16), (4, 0, 20, 16)], (16, 20), iou_threshold=0.7)
    masks = np.zeros((2, 16, 20), bool)
    masks[0, 4:12, 6:12] = masks[1, 4:12, 6:11] = True
    merger.add(0, [TileMask(mask_to_runs(masks[0]), 0, 0.7)])
    (merged,) = merger.add(1, [TileMask(mask_to_runs(masks[1]), 1, 0.8)])
    assert merged.runs.area == 40


def test_masks_with_equal_boxes_are_not_duplicates():
    """Two diagonals that cross each other are two objects."""
    merger = TileMerger([(0, 0, 16, 16), (4, 0, 20, 16)], (16, 20), iou_threshold=0.5)
    masks = np.zeros((2, 16, 20), bool)
    masks[0, 4:12, 6:14] = np.eye(8)
    masks[1, 4:12, 6:14] = np.eye(8)[::-1]
    merger.add(0, [TileMask(mask_to_runs(masks[0]), 0, 0.7)])
    assert len(merger.add(1, [TileMask(mask_to_runs(masks[1]), 1, 0.8)])) == 2


def test_an_object_and_its_part_stay_separate():
    """Both tiles contain both, and the pairs with the highest IoU are linked."""
    merger = TileMerger(SIDE_BY_SIDE, SIZE_SIDE_BY_SIDE, iou_threshold=0.5)
    whole, part = np.zeros((2, *SIZE_SIDE_BY_SIDE), bool)
    whole[2:14, 2:22] = True
    part[2:10, 2:22] = True
    for index, (x0, _, x1, _) in enumerate(SIDE_BY_SIDE):
        visible = np.zeros(SIZE_SIDE_BY_SIDE, bool)
        visible[:, x0:x1] = True
        masks = [TileMask(mask_to_runs(mask & visible), index, 0.9) for mask in (whole, part)]
        merged = merger.add(index, masks)
    assert sorted(mask.runs.area for mask in merged) == [160, 240]


def merge_bridge(*, with_parts):
    """Merge two piers of the first tile with the bridge in the second tile.

    Returns:
        Areas of the merged masks, and the area of the whole bridge.
    """
    bridge, left, right = np.zeros((3, *SIZE_STACKED), bool)
    bridge[18:22, 2:14] = bridge[4:20, 2:5] = bridge[4:20, 11:14] = True
    left[4:16, 2:5] = right[4:16, 11:14] = True
    bridge[:8] = False
    merger = TileMerger(STACKED, SIZE_STACKED, iou_threshold=0.7)
    merger.add(0, [TileMask(mask_to_runs(pier), 0, 0.9) for pier in (left, right)])
    masks = [bridge]
    if with_parts:
        masks += [bridge & (np.arange(16) < 6), bridge & (np.arange(16) > 9)]
    merged = merger.add(1, [TileMask(mask_to_runs(mask), 1, 0.8) for mask in masks])
    return [mask.runs.area for mask in merged], (bridge | left | right).sum()


def test_parts_that_another_tile_has_as_one_mask_are_one_object():
    areas, expected = merge_bridge(with_parts=False)
    assert areas == [expected]


def test_parts_that_another_tile_also_has_separately_stay_separate():
    areas, _ = merge_bridge(with_parts=True)
    assert len(areas) == 3


def test_uncut_masks_are_not_parts():
    """Two cars fill a parking lot, which only the other tile has as a mask."""
    cars, lot = np.zeros((2, *SIZE_STACKED), bool), np.zeros(SIZE_STACKED, bool)
    cars[0, 9:15, 2:8] = cars[1, 9:15, 8:14] = lot[9:20, 2:14] = True
    merger = TileMerger(STACKED, SIZE_STACKED, iou_threshold=0.7)
    merger.add(0, [TileMask(mask_to_runs(car), 0, 0.9) for car in cars])
    merged = merger.add(1, [TileMask(mask_to_runs(lot), 1, 0.8)])
    assert sorted(mask.runs.area for mask in merged) == [36, 36, 132]


@pytest.mark.parametrize(
    ("left", "areas"),
    [(12, []), (4, [72])],
    ids=["another tile contains its box", "no other tile contains its box"],
)
def test_a_cut_mask_without_a_partner(left, areas):
    mask = np.zeros(SIZE_SIDE_BY_SIDE, bool)
    mask[4:10, left:16] = True
    merger = TileMerger(SIDE_BY_SIDE, SIZE_SIDE_BY_SIDE, iou_threshold=0.7)
    merger.add(0, [TileMask(mask_to_runs(mask), 0, 0.9)])
    assert [merged.runs.area for merged in merger.add(1, [])] == areas


@pytest.mark.parametrize("iou_threshold", [0, 1.01, float("nan")])
def test_wrong_threshold_raises(iou_threshold):
    with pytest.raises(ValueError, match=r"iou_threshold must be in \(0, 1\]"):
        TileMerger([(0, 0, 2, 2)], (2, 2), iou_threshold=iou_threshold)
