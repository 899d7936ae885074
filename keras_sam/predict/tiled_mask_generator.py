"""`TiledMaskGenerator`: everything in an image of any size."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.annotations.mask_record import record_to_runs
from keras_sam.images.image_reader import ImageReader
from keras_sam.images.open_image import open_image
from keras_sam.masks.measures import coco_rle_runs
from keras_sam.masks.run_length_mask import check_rle_size, runs_to_coco_rle
from keras_sam.predict.mask_generator import SAMMaskGenerator
from keras_sam.predict.tile_merger import MergedMask, Piece, TileMerger
from keras_sam.predict.tiles import Box, plan_tiles


@dataclass(frozen=True)
class TileUpdate:
    """What a tile finished.

    Attributes:
        records: objects that no tile left can add to, each once.
        done: tiles so far.
        total: tiles in all.
    """

    records: list[dict[str, Any]]
    done: int
    total: int


class TiledMaskGenerator:
    """Finds everything in an image of any size: tile by tile, and whole across their seams.

    Each tile is searched as an image of its own by the generator, so that its settings are those
    of a tile. What several tiles show of an object becomes one mask (`TileMerger` tells how).
    A tile is read when its turn comes, and of masks their outlines are held until they are
    finished: memory does not grow with the image, but for masks that run through all of it.

    Args:
        generator: what searches a tile. Its `output_mode` must be "coco_rle" or
            "uncompressed_rle": an array of the image's size for each mask is what this is against.
        tile_size: pixels along each side of a tile.
        overlap: pixels that neighboring tiles share at least, from 1 to half of `tile_size`. What
            is smaller than that is whole in some tile.
        seam_iou_thresh: masks of two tiles whose IoU in the pixels that both tiles show is at
            least this are one object, over 0 and at most 1.

    Raises:
        ValueError: for arguments out of their range.
    """

    def __init__(
        self,
        generator: SAMMaskGenerator,
        *,
        tile_size: int = 1024,
        overlap: int = 256,
        seam_iou_thresh: float = 0.7,
    ) -> None:
        if generator.output_mode == "binary_mask":
            raise ValueError(
                "a mask of a large image is given as runs: give the generator "
                "output_mode='coco_rle', got 'binary_mask'"
            )
        plan_tiles((1, 1), tile_size=tile_size, overlap=overlap)
        TileMerger([], (1, 1), agreement=seam_iou_thresh)
        self.generator = generator
        self.tile_size = tile_size
        self.overlap = overlap
        self.seam_iou_thresh = seam_iou_thresh

    def generate(
        self, image: Any, *, progress: Callable[[int, int], Any] | None = None
    ) -> list[dict[str, Any]]:
        """All masks of an image.

        Args:
            image: windows of it, or what `open_image` takes, such as a path.
            progress: called with the tiles so far, and in all; an exception from it ends the
                search.

        Returns:
            Records as those of `SAMMaskGenerator`, whose `segmentation` is an RLE of the whole
            image: one for each object, by the tile it was found in and its falling rating.
            `predicted_iou`, `stability_score` and `point_coords` are those of its best piece,
            `crop_box` the tile of that. Tiles that are known to hold no data are not searched.

        Raises:
            ImageError: if the image cannot be read.
            ValueError: if it has more pixels than an RLE can count, `2 ** 39 - 1`.
        """
        found: list[tuple[int, float, dict[str, Any]]] = []
        with _windows(image) as windows:
            tiles = self._tiles(windows)
            for done, finished in enumerate(self._search(windows, tiles)):
                for mask in finished:  # their strings are smaller than their runs
                    record = self._record(mask, tiles, windows.size)
                    found.append((mask.best.tile, -mask.best.rating, record))
                if progress is not None:
                    progress(done, len(tiles))
        return [record for *_, record in sorted(found, key=lambda entry: entry[:2])]

    def iterate(self, image: Any) -> Iterator[TileUpdate]:
        """Finds what `generate` finds, and tells of it tile by tile; may be left at any time.

        Args:
            image: as `generate`.

        Yields:
            After each tile the objects that it finished, those that no later tile can add to.
        """
        with _windows(image) as windows:
            tiles = self._tiles(windows)
            for done, finished in enumerate(self._search(windows, tiles)):
                records = [self._record(mask, tiles, windows.size) for mask in finished]
                yield TileUpdate(records, done, len(tiles))

    def _tiles(self, windows: ImageReader) -> list[Box]:
        check_rle_size(windows.size)
        return plan_tiles(windows.size, tile_size=self.tile_size, overlap=self.overlap)

    def _search(self, windows: ImageReader, tiles: list[Box]) -> Iterator[list[MergedMask]]:
        """Yields nothing at first, then what each tile finishes."""
        merger = TileMerger(tiles, windows.size, agreement=self.seam_iou_thresh)
        yield []
        for number, tile in enumerate(tiles):
            pieces = [] if windows.is_nodata(tile) else self._pieces(windows, tile, number)
            yield merger.add(number, pieces)

    def _pieces(self, windows: ImageReader, tile: Box, number: int) -> list[Piece]:
        x0, y0, x1, y1 = tile
        pixels = windows.read(tile)
        if pixels.shape != (y1 - y0, x1 - x0, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"the window {tile} must be ({y1 - y0}, {x1 - x0}, 3) uint8, "
                f"got {pixels.shape} of {pixels.dtype}"
            )
        return [
            Piece(record_to_runs(record).moved(x0, y0), number, record["predicted_iou"], record)
            for record in self.generator.generate(pixels)
            if record["area"]
        ]

    def _record(self, mask: MergedMask, tiles: list[Box], size: tuple[int, int]) -> dict[str, Any]:
        found, (left, top, right, bottom) = mask.best.origin, tiles[mask.best.tile]
        segmentation: dict[str, Any] = runs_to_coco_rle(mask.runs, size)
        if self.generator.output_mode == "uncompressed_rle":
            segmentation["counts"] = coco_rle_runs(segmentation)
        x0, y0, x1, y1 = mask.runs.box
        return {
            **found,
            "segmentation": segmentation,
            "area": mask.runs.area,
            "bbox": [x0, y0, x1 - x0 - 1, y1 - y0 - 1],  # as Meta has it, to the last pixel
            "point_coords": [[x + left, y + top] for x, y in found["point_coords"]],
            "crop_box": [left, top, right - left, bottom - top],
        }


def _windows(image: Any) -> Any:
    """An image opened for as long as it is needed; windows that were given stay open."""
    return nullcontext(image) if isinstance(image, ImageReader) else open_image(image)
