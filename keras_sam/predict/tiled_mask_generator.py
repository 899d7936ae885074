"""`TiledMaskGenerator`: automatic mask generation for images of any size."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from keras_sam.annotations.mask_record import MaskRecord, record_to_runs
from keras_sam.images.image_reader import ImageReader
from keras_sam.images.open_image import open_image
from keras_sam.masks.coco_rle import check_rle_size, coco_rle_to_counts, runs_to_coco_rle
from keras_sam.predict.sam_mask_generator import SAMMaskGenerator
from keras_sam.predict.tile_merger import MergedMask, TileMask, TileMerger
from keras_sam.predict.tiles import plan_tiles
from keras_sam.types import Box, Size


@dataclass(frozen=True)
class TileUpdate:
    """Objects that one tile completed.

    Attributes:
        records: Objects that no later tile can extend.
        completed: Number of tiles processed.
        total: Total number of tiles.
    """

    records: list[MaskRecord]
    completed: int
    total: int


class TiledMaskGenerator:
    """Generates masks tile by tile and merges them across tiles.

    The generator processes each tile like an image of its own. `TileMerger` combines the masks
    of an object that extends over several tiles. Tiles are read when needed, and masks are
    stored as runs. Memory does not grow with the image, except for objects that extend over
    most of it.

    Args:
        generator: Generator for one tile. Its `output_mode` must be "coco_rle" or
            "uncompressed_rle", since an array of the image's size per mask would not fit memory.
        tile_size: Side of a tile in pixels.
        overlap: Minimum overlap of neighboring tiles in pixels, from 1 to half of `tile_size`.
            Objects smaller than this lie completely in some tile.
        seam_iou_thresh: Minimum IoU, within the overlap of two tiles, of masks of the same
            object. In (0, 1].

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        generator: SAMMaskGenerator,
        *,
        tile_size: int = 1024,
        overlap: int = 256,
        seam_iou_thresh: float = 0.7,
    ) -> None:
        if generator.config.output_mode == "binary_mask":
            raise ValueError(
                "masks of a large image must be RLEs: create the generator with "
                "output_mode='coco_rle', got 'binary_mask'"
            )
        plan_tiles((1, 1), tile_size=tile_size, overlap=overlap)
        if not 0 < seam_iou_thresh <= 1:
            raise ValueError(f"seam_iou_thresh must be in (0, 1], got {seam_iou_thresh}")
        self.generator = generator
        self.tile_size = tile_size
        self.overlap = overlap
        self.seam_iou_thresh = seam_iou_thresh

    def generate(
        self, image: Any, *, progress: Callable[[int, int], Any] | None = None
    ) -> list[MaskRecord]:
        """Generate all masks of an image.

        Args:
            image: `ImageReader`, or anything that `open_image` accepts, such as a path.
            progress: Function called with the number of tiles processed and their total. An
                exception in it ends the generation.

        Returns:
            Records like those of `SAMMaskGenerator`, one per object, ordered by tile and
            descending predicted IoU. `segmentation` is an RLE of the whole image.
            `predicted_iou`, `stability_score` and `point_coords` are those of the object's best
            tile mask, and `crop_box` is its tile. Tiles without data are skipped.

        Raises:
            ImageError: If the image cannot be read.
            ValueError: If the image has more than `2 ** 39 - 1` pixels, the maximum of an RLE.
        """
        merged: list[tuple[int, float, MaskRecord]] = []
        with _open(image) as reader:
            tiles = self._tiles(reader)
            for completed, masks in enumerate(self._run(reader, tiles)):
                for mask in masks:  # RLE strings are smaller than runs
                    record = self._record(mask, tiles, reader.size)
                    merged.append((mask.best.tile, -mask.best.predicted_iou, record))
                if progress is not None:
                    progress(completed, len(tiles))
        return [record for *_, record in sorted(merged, key=lambda entry: entry[:2])]

    def iterate(self, image: Any) -> Iterator[TileUpdate]:
        """Generate masks and yield objects tile by tile. May be stopped at any time.

        Args:
            image: See `generate`.

        Yields:
            Objects that each tile completed; first an update without any.
        """
        with _open(image) as reader:
            tiles = self._tiles(reader)
            for completed, masks in enumerate(self._run(reader, tiles)):
                records = [self._record(mask, tiles, reader.size) for mask in masks]
                yield TileUpdate(records, completed, len(tiles))

    def _tiles(self, reader: ImageReader) -> list[Box]:
        check_rle_size(reader.size)
        return plan_tiles(reader.size, tile_size=self.tile_size, overlap=self.overlap)

    def _run(self, reader: ImageReader, tiles: list[Box]) -> Iterator[list[MergedMask]]:
        """Yield an empty list, then the objects that each tile completes."""
        merger = TileMerger(tiles, reader.size, iou_threshold=self.seam_iou_thresh)
        yield []
        for index, tile in enumerate(tiles):
            masks = [] if reader.is_nodata(tile) else self._tile_masks(reader, tile, index)
            yield merger.add(index, masks)

    def _tile_masks(self, reader: ImageReader, tile: Box, index: int) -> list[TileMask]:
        x0, y0, x1, y1 = tile
        pixels = reader.read(tile)
        if pixels.shape != (y1 - y0, x1 - x0, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"tile {tile} must be uint8 of shape {(y1 - y0, x1 - x0, 3)}, got "
                f"{pixels.dtype} {pixels.shape}"
            )
        return [
            TileMask(record_to_runs(record).shifted(x0, y0), index, record["predicted_iou"], record)
            for record in self.generator.generate(pixels)
            if record["area"]
        ]

    def _record(self, mask: MergedMask, tiles: list[Box], size: Size) -> MaskRecord:
        record, (left, top, right, bottom) = mask.best.record, tiles[mask.best.tile]
        segmentation: dict[str, Any] = runs_to_coco_rle(mask.runs, size)
        if self.generator.config.output_mode == "uncompressed_rle":
            segmentation["counts"] = coco_rle_to_counts(segmentation)
        x0, y0, x1, y1 = mask.runs.box
        changes = {
            "segmentation": segmentation,
            "area": mask.runs.area,
            "bbox": [x0, y0, x1 - x0 - 1, y1 - y0 - 1],  # to the last pixel, as in Meta's records
            "point_coords": [[x + left, y + top] for x, y in record["point_coords"]],
            "crop_box": [left, top, right - left, bottom - top],
        }
        return cast(MaskRecord, record | changes)


def _open(image: Any) -> AbstractContextManager[ImageReader]:
    """Open an image. A reader that the caller opened stays open."""
    return nullcontext(image) if isinstance(image, ImageReader) else open_image(image)
