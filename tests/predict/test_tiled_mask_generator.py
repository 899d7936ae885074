"""Everything mode by tiles, with the shipped preset, against its parts and plain NumPy."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_sam
from keras_sam.annotations.mask_record import record_to_runs
from keras_sam.images.image_reader import ArrayReader, ImageReader
from keras_sam.masks.coco_rle import coco_rle_to_mask
from keras_sam.masks.measures import mask_iou
from keras_sam.masks.run_length_mask import mask_to_runs, runs_iou
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator
from keras_sam.predict.tiles import plan_tiles

SIZE = (70, 150)
TILES = {"tile_size": 70, "overlap": 20}  # three in a row
SETTINGS = {
    "points_per_side": 3,
    "points_per_batch": 8,
    "pred_iou_thresh": 0.25,
    "stability_score_thresh": 0.6,
    "output_mode": "coco_rle",
}
PHOTOGRAPH = Path(keras_sam.__file__).parent / "assets" / "coffee.jpg"


@pytest.fixture(scope="module")
def generator():
    model = SAMImageSegmenter.from_preset("sam_tiny_synthetic")
    return SAMMaskGenerator(SAMPredictor(model), **SETTINGS)


@pytest.fixture(scope="module")
def photograph():
    return np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize(SIZE[::-1]))


class Plane(ImageReader):
    """A gray plane with some discs, drawn when it is asked for; it keeps what was read."""

    def __init__(self, size, discs, *, blank=()):
        self._size, self.discs, self.blank, self.boxes = size, discs, blank, []

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
        return box in self.blank


def whole_box(size):
    return (0, 0, size[1], size[0])


def test_an_image_of_one_tile_is_as_without_tiles(generator, photograph):
    pixels = photograph[:, :70]
    tiled = TiledMaskGenerator(generator, tile_size=70, overlap=1).generate(pixels)
    expected = [record for record in generator.generate(pixels) if record["area"]]
    assert len(tiled) > 1
    assert repr(tiled) == repr(expected)


def test_a_disc_on_a_seam_is_one_object(generator):
    """Two tiles show a part each; the disc itself is the oracle."""
    source = Plane((256, 640), [(416, 130, 90)])
    tiled = TiledMaskGenerator(generator, tile_size=256, overlap=64, seam_iou_thresh=0.5)
    records = tiled.generate(source)
    truth = source.mask(whole_box(source.size))
    masks = [coco_rle_to_mask(record["segmentation"]) for record in records]
    best = int(np.argmax([mask_iou(mask, truth) for mask in masks]))
    assert mask_iou(masks[best], truth) > 0.85
    left, top, width, height = records[best]["crop_box"]
    shown = truth[top : top + height, left : left + width].sum()
    assert shown < 0.99 * truth.sum()  # more than its best tile shows


def test_records_are_of_the_whole_image(generator, photograph):
    tiled = TiledMaskGenerator(generator, **TILES)
    records = tiled.generate(photograph)
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
        tile = (left, top, left + width, top + height)
        ((px, py),) = record["point_coords"]
        assert left < px < left + width
        assert top < py < top + height
        order.append((tiles.index(tile), -record["predicted_iou"]))
        assert mask[top : top + height, left : left + width].any()
    assert order == sorted(order)
    assert {left for record in records for left in record["crop_box"][:1]} == {0, 40, 80}
    assert set(records[0]) == set(generator.generate(photograph[:, :70])[0])


def test_the_same_runs_uncompressed(generator, photograph):
    plain = SAMMaskGenerator(generator.predictor, **SETTINGS | {"output_mode": "uncompressed_rle"})
    runs = TiledMaskGenerator(plain, **TILES).generate(photograph)
    rles = TiledMaskGenerator(generator, **TILES).generate(photograph)
    assert len(runs) == len(rles) > 1
    for record, other in zip(runs, rles, strict=True):
        assert sum(record["segmentation"]["counts"]) == SIZE[0] * SIZE[1]
        np.testing.assert_array_equal(
            coco_rle_to_mask(record["segmentation"]), coco_rle_to_mask(other["segmentation"])
        )


def test_updates_end_where_generate_does(generator, photograph):
    tiled = TiledMaskGenerator(generator, **TILES)
    seen = []
    expected = tiled.generate(photograph, progress=lambda *progress: seen.append(progress))
    updates = list(tiled.iterate(photograph))
    assert seen == [(update.done, update.total) for update in updates]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert updates[0].records == []
    found = [record for update in updates for record in update.records]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert any(update.records for update in updates[:-1])  # not all at the end


def test_it_can_be_left(generator, photograph):
    class CancelledError(Exception):
        pass

    def cancel(done, total):
        if done == 1:
            raise CancelledError

    source = ArrayReader(photograph)
    with pytest.raises(CancelledError):
        TiledMaskGenerator(generator, **TILES).generate(source, progress=cancel)
    for update in TiledMaskGenerator(generator, **TILES).iterate(source):
        if update.done:
            break
    assert not generator.predictor.is_image_set


def test_of_a_gigapixel_one_tile_at_a_time_is_read(generator):
    """Of 2028 tiles all but four are known to be empty."""
    size, options = (30_000, 40_000), {"tile_size": 1024, "overlap": 256}
    tiles = plan_tiles(size, **options)
    x, y = tiles[1000][2] - 128, tiles[1000][3] - 128  # where four tiles meet
    searched = [tile for tile in tiles if tile[0] <= x < tile[2] and tile[1] <= y < tile[3]]
    assert (len(tiles), len(searched)) == (2028, 4)
    blank = set(tiles) - set(searched)
    source = Plane(size, [(x, y, 280)], blank=blank)
    tiled = TiledMaskGenerator(generator, **options, seam_iou_thresh=0.5)
    records = tiled.generate(source)
    assert source.boxes == searched
    assert all(record["segmentation"]["size"] == list(size) for record in records)
    assert all(len(record["segmentation"]["counts"]) < 20_000 for record in records)
    corner = x - 300, y - 300
    truth = mask_to_runs(source.mask((*corner, x + 300, y + 300))).shifted(*corner)
    assert max(runs_iou(record_to_runs(record), truth) for record in records) > 0.7


def test_windows_that_are_given_stay_open(generator, photograph):
    class Closing(Plane):
        def close(self):
            raise AssertionError("closed")

    source = Closing((64, 64), [(30, 30, 9)])
    TiledMaskGenerator(generator, tile_size=64, overlap=8).generate(source)


def test_mistakes(generator, photograph):
    plain = SAMMaskGenerator(generator.predictor)
    with pytest.raises(ValueError, match="output_mode='coco_rle'"):
        TiledMaskGenerator(plain)
    with pytest.raises(ValueError, match="overlap must be at least 1"):
        TiledMaskGenerator(generator, tile_size=64, overlap=33)
    with pytest.raises(ValueError, match="agreement must be over 0"):
        TiledMaskGenerator(generator, seam_iou_thresh=0)

    class Wrong(Plane):
        def read(self, box):
            return super().read(box)[..., 0]

    with pytest.raises(ValueError, match=r"must be \(64, 64, 3\) uint8"):
        TiledMaskGenerator(generator, tile_size=64, overlap=8).generate(Wrong((64, 64), []))
    with pytest.raises(ValueError, match="at most 549755813887 pixels"):
        TiledMaskGenerator(generator).generate(Plane((2**20, 2**20), []))
