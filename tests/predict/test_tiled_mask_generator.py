"""Automatic mask generation tile by tile, against the generator of each tile and NumPy."""

import numpy as np
import pytest

from keras_sam.annotations.mask_record import record_to_runs
from keras_sam.images.image_reader import ArrayReader, ImageReader
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.masks.measures import mask_iou
from keras_sam.masks.run_length_mask import mask_to_runs, runs_iou
from keras_sam.models import SAMImageSegmenter
from keras_sam.predict import SAMMaskGenerator, TiledMaskGenerator
from keras_sam.predict.tiles import plan_tiles

SIZE = (70, 150)
TILES = {"tile_size": 70, "overlap": 20}  # three in a row
OPTIONS = {
    "points_per_side": 3,
    "points_per_batch": 9,
    "pred_iou_thresh": 0.25,
    "stability_score_thresh": 0.55,
    "output_mode": "coco_rle",
}


@pytest.fixture
def generator(trained_predictor):
    return SAMMaskGenerator(trained_predictor, **OPTIONS)


@pytest.fixture(scope="module")
def full_size_generator():
    """Generator of the shipped preset at its own image size, for large objects."""
    model = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    return SAMMaskGenerator(model, **OPTIONS)


@pytest.fixture(scope="module")
def wide_photo(load_photo):
    return load_photo(SIZE[::-1])


class DiscReader(ImageReader):
    """A gray image with bright discs, drawn when a box is read. It records the boxes."""

    def __init__(self, size, discs, *, nodata=()):
        self._size = size
        self.discs = discs
        self.nodata = nodata
        self.boxes = []

    @property
    def size(self):
        return self._size

    def mask(self, box):
        x0, y0, x1, y1 = box
        y, x = np.mgrid[y0:y1, x0:x1]
        return np.any([(x - cx) ** 2 + (y - cy) ** 2 < r**2 for cx, cy, r in self.discs], axis=0)

    def read(self, box):
        self.boxes.append(box)
        return np.where(self.mask(box)[..., None], (250, 220, 40), (50, 60, 70)).astype(np.uint8)

    def is_nodata(self, box):
        return box in self.nodata


def test_one_tile_equals_the_generator(generator, wide_photo):
    pixels = wide_photo[:, :70]
    records = TiledMaskGenerator(generator, tile_size=70, overlap=1).generate(pixels)
    expected = [record for record in generator.generate(pixels) if record["area"]]
    assert len(records) > 1
    assert repr(records) == repr(expected)


def test_an_object_in_two_tiles_is_one_record(full_size_generator):
    reader = DiscReader((256, 640), [(416, 130, 90)])
    tiled = TiledMaskGenerator(full_size_generator, tile_size=256, overlap=64, seam_iou_thresh=0.5)
    records = tiled.generate(reader)
    disc = reader.mask((0, 0, 640, 256))
    overlaps = [mask_iou(coco_rle_to_mask(record["segmentation"]), disc) for record in records]
    best = int(np.argmax(overlaps))
    assert overlaps[best] > 0.85
    # The object is larger than its part in the best tile.
    left, top, width, height = records[best]["crop_box"]
    assert disc[top : top + height, left : left + width].sum() < 0.99 * disc.sum()


def test_records_are_in_the_frame_of_the_whole_image(generator, wide_photo):
    records = TiledMaskGenerator(generator, **TILES).generate(wide_photo)
    tiles = plan_tiles(SIZE, **TILES)
    assert len(tiles) == 3
    assert len(records) > 3
    order = []
    for record in records:
        mask = coco_rle_to_mask(record["segmentation"])
        assert mask.shape == SIZE
        assert record["area"] == mask.sum() > 0
        y, x = np.nonzero(mask)
        assert record["bbox"] == [x.min(), y.min(), np.ptp(x), np.ptp(y)]
        left, top, width, height = record["crop_box"]
        ((point_x, point_y),) = record["point_coords"]
        assert left < point_x < left + width
        assert top < point_y < top + height
        assert mask[top : top + height, left : left + width].any()
        tile = (left, top, left + width, top + height)
        order.append((tiles.index(tile), -record["predicted_iou"]))
    assert order == sorted(order)
    assert {tile for tile, _ in order} == {0, 1, 2}
    assert set(records[0]) == set(generator.generate(wide_photo[:, :70])[0])


def test_uncompressed_rles_contain_the_same_masks(generator, trained_predictor, wide_photo):
    options = OPTIONS | {"output_mode": "uncompressed_rle"}
    uncompressed = TiledMaskGenerator(SAMMaskGenerator(trained_predictor, **options), **TILES)
    records = uncompressed.generate(wide_photo)
    expected = TiledMaskGenerator(generator, **TILES).generate(wide_photo)
    assert len(records) == len(expected) > 1
    for record, other in zip(records, expected, strict=True):
        assert sum(record["segmentation"]["counts"]) == SIZE[0] * SIZE[1]
        np.testing.assert_array_equal(
            coco_rle_to_mask(record["segmentation"]), coco_rle_to_mask(other["segmentation"])
        )


def test_updates_contain_the_records_of_generate(generator, wide_photo):
    tiled = TiledMaskGenerator(generator, **TILES)
    calls = []
    expected = tiled.generate(wide_photo, progress=lambda *counts: calls.append(counts))
    updates = list(tiled.iterate(wide_photo))
    assert calls == [(update.completed, update.total) for update in updates]
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert updates[0].records == []
    records = [record for update in updates for record in update.records]
    assert sorted(map(repr, records)) == sorted(map(repr, expected))
    assert any(update.records for update in updates[:-1])  # some objects are finished early


def test_generation_can_be_stopped(generator, wide_photo):
    class CancelledError(Exception):
        pass

    def cancel(completed, total):
        if completed == 1:
            raise CancelledError

    reader = ArrayReader(wide_photo)
    tiled = TiledMaskGenerator(generator, **TILES)
    with pytest.raises(CancelledError):
        tiled.generate(reader, progress=cancel)
    for update in tiled.iterate(reader):
        if update.completed:
            break
    assert not generator.predictor.is_image_set


def test_a_gigapixel_image_is_read_tile_by_tile(full_size_generator):
    """All tiles except for four have no data."""
    size, options = (30_000, 40_000), {"tile_size": 1024, "overlap": 256}
    tiles = plan_tiles(size, **options)
    x, y = tiles[1000][2] - 128, tiles[1000][3] - 128  # in four tiles
    with_data = [tile for tile in tiles if tile[0] <= x < tile[2] and tile[1] <= y < tile[3]]
    assert (len(tiles), len(with_data)) == (2028, 4)
    reader = DiscReader(size, [(x, y, 280)], nodata=set(tiles) - set(with_data))
    records = TiledMaskGenerator(full_size_generator, **options, seam_iou_thresh=0.5).generate(
        reader
    )
    assert reader.boxes == with_data
    assert all(record["segmentation"]["size"] == list(size) for record in records)
    assert all(len(record["segmentation"]["counts"]) < 20_000 for record in records)
    corner = x - 300, y - 300
    disc = mask_to_runs(reader.mask((*corner, x + 300, y + 300))).shifted(*corner)
    assert max(runs_iou(record_to_runs(record), disc) for record in records) > 0.7


def test_a_reader_that_the_caller_opened_stays_open(generator):
    class ClosableReader(DiscReader):
        is_closed = False

        def close(self):
            self.is_closed = True

    reader = ClosableReader((64, 64), [(30, 30, 9)])
    TiledMaskGenerator(generator, tile_size=64, overlap=8).generate(reader)
    assert not reader.is_closed


def test_arrays_as_masks_raise(trained_predictor):
    with pytest.raises(ValueError, match="output_mode='coco_rle', got 'binary_mask'"):
        TiledMaskGenerator(SAMMaskGenerator(trained_predictor))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile_size": 64, "overlap": 33}, "overlap must be at least 1"),
        ({"seam_iou_thresh": 0}, r"seam_iou_thresh must be in \(0, 1\], got 0"),
        ({"seam_iou_thresh": float("nan")}, r"seam_iou_thresh must be in \(0, 1\], got nan"),
    ],
)
def test_option_out_of_range_raises(generator, options, message):
    with pytest.raises(ValueError, match=message):
        TiledMaskGenerator(generator, **options)


def test_wrong_pixels_of_a_reader_raise(generator):
    class GrayReader(DiscReader):
        def read(self, box):
            return super().read(box)[..., 0]

    message = r"must be uint8 of shape \(64, 64, 3\), got uint8 \(64, 64\)"
    reader = GrayReader((64, 64), [(30, 30, 9)])
    with pytest.raises(ValueError, match=message):
        TiledMaskGenerator(generator, tile_size=64, overlap=8).generate(reader)


def test_too_many_pixels_for_an_rle_raise(generator):
    with pytest.raises(ValueError, match="549755813887 pixels"):
        TiledMaskGenerator(generator).generate(DiscReader((2**20, 2**20), []))
