"""`TileMerger`: merges the masks of overlapping tiles into masks of the whole image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_sam.masks.run_length_mask import RunLengthMask, intersection_area, runs_iou
from keras_sam.types import Box, Size

# Fraction 1 / 64 of a tile's longer side. A mask that ends this close to an inner side of the
# tile is cut by it.
EDGE_FRACTION = 64
MAX_PART_OVERLAP = 0.1  # more overlap, as a fraction of their area, makes one mask part of another


@dataclass(frozen=True, eq=False)
class TileMask:
    """A mask from one tile.

    Attributes:
        runs: Mask in the frame of the image.
        tile: Index of the tile.
        predicted_iou: IoU that the model predicts for the mask.
        record: Record of the mask in the frame of the tile.
    """

    runs: RunLengthMask
    tile: int
    predicted_iou: float
    record: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class MergedMask:
    """The mask of one object.

    Attributes:
        runs: Mask in the frame of the image.
        best: Tile mask whose scores represent the object: the one with the highest predicted
            IoU, or the one that contains the whole object.
    """

    runs: RunLengthMask
    best: TileMask


class TileMerger:
    """Merges masks across tiles, one tile at a time.

    Two masks of neighboring tiles belong to the same object if they agree in the overlap of the
    tiles. Pairs are linked in order of IoU, so an object has at most one mask per tile, and
    masks that one tile separates, such as a car and its wheel, stay separate. The links extend
    over any number of tiles. One exception: disjoint parts that a tile cuts, such as the piers
    of a bridge, are linked if a neighboring tile has them as one mask that agrees with their
    union.

    The mask of an object is the best tile mask that no tile side cuts, if it agrees with the
    union of the object's tile masks. Otherwise it is that union. A cut mask without a partner is
    dropped if another tile contains its whole box and has no such mask.

    An object is finished when no later tile can extend it. Only unfinished objects are in
    memory, as runs.

    Args:
        tiles: Boxes XYXY, in the order in which they are added.
        size: `(height, width)` of the image.
        iou_threshold: Minimum IoU, within the overlap of two tiles, of masks of the same object.
            In (0, 1].

    Raises:
        ValueError: If the threshold is out of its range.
    """

    def __init__(self, tiles: Sequence[Box], size: Size, *, iou_threshold: float) -> None:
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"iou_threshold must be in (0, 1], got {iou_threshold}")
        self.tiles = np.array(tiles, np.int64).reshape(-1, 4)
        self.size = size
        self.iou_threshold = iou_threshold
        self._by_top = np.argsort(self.tiles[:, 1], kind="stable")
        self._tops = self.tiles[self._by_top, 1]
        self._max_height = int((self.tiles[:, 3] - self.tiles[:, 1]).max(initial=0))
        self._groups: dict[TileMask, _Group] = {}
        self._unfinished: dict[int, list[TileMask]] = {}  # by tile

    def add(self, tile: int, masks: Sequence[TileMask]) -> list[MergedMask]:
        """Add the masks of the next tile.

        Args:
            tile: Index of the tile.
            masks: Masks of the tile.

        Returns:
            Objects that are finished, ordered by tile and descending predicted IoU.
        """
        neighbors = self._neighbors(tile)
        later = neighbors[neighbors > tile]
        for mask in masks:
            touched = later[_overlaps(np.array(mask.runs.box), self.tiles[later])]
            self._groups[mask] = _Group([mask], {tile}, int(touched.max(initial=tile)))
        overlaps = self._overlaps_with(tile, masks, neighbors[neighbors < tile])
        pairs = [pair for ours, theirs in overlaps for pair in self._matches(ours, theirs)]
        for _, mask, other in sorted(pairs, key=lambda pair: -pair[0]):  # stable
            self._link(mask, other)
        for ours, theirs in overlaps:
            self._link_parts(ours, theirs)
            self._link_parts(theirs, ours)
        self._unfinished[tile] = list(masks)
        return self._finish(tile)

    def _neighbors(self, tile: int) -> np.ndarray:
        """Return the indices of tiles that overlap a tile, including itself, in order."""
        _, y0, _, y1 = self.tiles[tile]
        rows = slice(*np.searchsorted(self._tops, (y0 - self._max_height, y1)))
        nearby = np.sort(self._by_top[rows])
        return nearby[_overlaps(self.tiles[tile], self.tiles[nearby])]

    def _overlaps_with(
        self, tile: int, masks: Sequence[TileMask], others: np.ndarray
    ) -> list[tuple["_CroppedMasks", "_CroppedMasks"]]:
        """Crop masks of this tile and of each other tile to the overlap of the two."""
        overlaps = []
        for other in others.tolist():
            if other_masks := self._unfinished.get(other):
                box = _intersection(self.tiles[tile], self.tiles[other])
                overlaps.append((_CroppedMasks(masks, box), _CroppedMasks(other_masks, box)))
        return overlaps

    def _matches(
        self, ours: "_CroppedMasks", theirs: "_CroppedMasks"
    ) -> list[tuple[float, TileMask, TileMask]]:
        """Return pairs of masks of two tiles that agree, with their IoU."""
        pairs = []
        for index, other in np.argwhere(ours.may_match(theirs, self.iou_threshold)).tolist():
            iou = runs_iou(ours.runs[index], theirs.runs[other])
            if iou >= self.iou_threshold:
                pairs.append((iou, ours.masks[index], theirs.masks[other]))
        return pairs

    def _link_parts(self, wholes: "_CroppedMasks", parts: "_CroppedMasks") -> None:
        """Link masks of one tile that are one mask in the other tile."""
        may_cover = parts.may_be_covered(wholes, self.iou_threshold)
        for index in np.flatnonzero(may_cover.sum(axis=0) > 1).tolist():
            whole, runs = wholes.masks[index], wholes.runs[index]
            candidates = [
                part
                for part in np.flatnonzero(may_cover[:, index]).tolist()
                if self._may_be_part(parts.masks[part], whole)
                and intersection_area(parts.runs[part], runs)
                >= self.iou_threshold * parts.areas[part]
            ]
            if len(candidates) > 1:
                union = RunLengthMask.union(*(parts.runs[part] for part in candidates))
                is_disjoint = union.area >= (1 - MAX_PART_OVERLAP) * parts.areas[candidates].sum()
                if is_disjoint and runs_iou(union, runs) >= self.iou_threshold:
                    for part in candidates:
                        self._link(parts.masks[part], whole, is_part=True)

    def _may_be_part(self, part: TileMask, whole: TileMask) -> bool:
        group, other = self._groups[part], self._groups[whole]
        is_free = group is other or not (group.tiles & other.tiles) - {part.tile}
        return is_free and self._is_cut(part.runs, part.tile)

    def _link(self, mask: TileMask, other: TileMask, *, is_part: bool = False) -> None:
        """Merge the groups of two masks, unless both have a mask of the same tile."""
        group, merged = self._groups[mask], self._groups[other]
        shared = group.tiles & merged.tiles
        if group is merged or (shared - {mask.tile} if is_part else shared):
            return
        if len(group.masks) < len(merged.masks):
            group, merged = merged, group
        group.masks += merged.masks
        group.tiles |= merged.tiles
        group.last_tile = max(group.last_tile, merged.last_tile)
        self._groups.update(dict.fromkeys(merged.masks, group))

    def _finish(self, tile: int) -> list[MergedMask]:
        groups = {id(group): group for group in self._groups.values() if group.last_tile <= tile}
        for group in groups.values():
            for mask in group.masks:
                del self._groups[mask]
        self._unfinished = {
            index: remaining
            for index, masks in self._unfinished.items()
            if (remaining := [mask for mask in masks if mask in self._groups])
        }
        results = [self._merge(group.masks) for group in groups.values()]
        merged = [result for result in results if result is not None]
        return sorted(merged, key=lambda mask: (mask.best.tile, -mask.best.predicted_iou))

    def _merge(self, masks: list[TileMask]) -> MergedMask | None:
        """Return the mask of an object, or `None` if another tile contradicts it."""
        masks = sorted(masks, key=lambda mask: (-mask.predicted_iou, mask.tile))
        whole = next((mask for mask in masks if not self._is_cut(mask.runs, mask.tile)), None)
        if len(masks) == 1:
            (mask,) = masks
            is_kept = whole or not self._is_inside_other_tile(mask)
            return MergedMask(mask.runs, mask) if is_kept else None
        union = RunLengthMask.union(*(mask.runs for mask in masks))
        if whole is not None and runs_iou(whole.runs, union) >= self.iou_threshold:
            return MergedMask(whole.runs, whole)
        return MergedMask(union, masks[0])

    def _is_inside_other_tile(self, mask: TileMask) -> bool:
        """Return True if another tile contains the whole box of a mask that its own tile cuts."""
        box = np.array(mask.runs.box)
        return any(
            (box[:2] >= self.tiles[other, :2]).all()
            and (box[2:] <= self.tiles[other, 2:]).all()
            and not self._is_cut(mask.runs, other)
            for other in self._neighbors(mask.tile).tolist()
        )

    def _is_cut(self, runs: RunLengthMask, tile: int) -> bool:
        """Return True if a mask ends at a side of a tile that is not a side of the image."""
        box, (x0, y0, x1, y1) = np.array(runs.box), self.tiles[tile]
        margin = max(1, int(max(x1 - x0, y1 - y0)) // EDGE_FRACTION)
        is_near = np.abs(box - self.tiles[tile]) < margin
        is_inner = self.tiles[tile] != (0, 0, self.size[1], self.size[0])
        return bool((is_near & is_inner).any())


@dataclass(eq=False)
class _Group:
    """The tile masks of one object, their tiles, and the last tile that can extend it."""

    masks: list[TileMask]
    tiles: set[int]
    last_tile: int


class _CroppedMasks:
    """Masks cropped to the overlap of two tiles, without those that become empty."""

    def __init__(self, masks: Sequence[TileMask], box: Box) -> None:
        cropped = [(mask, mask.runs.cropped(box)) for mask in masks]
        self.masks = [mask for mask, runs in cropped if len(runs.columns)]
        self.runs = [runs for _, runs in cropped if len(runs.columns)]
        self.boxes = np.array([runs.box for runs in self.runs], np.int64).reshape(-1, 4)
        self.areas = np.array([runs.area for runs in self.runs], np.int64)

    def may_match(self, others: "_CroppedMasks", iou_threshold: float) -> np.ndarray:
        """Return `(N, M)`: True where areas and boxes allow an IoU at the threshold."""
        larger = np.maximum(self.areas[:, None], others.areas)
        return self._max_intersections(others) >= iou_threshold * larger

    def may_be_covered(self, others: "_CroppedMasks", fraction: float) -> np.ndarray:
        """Return `(N, M)`: True where boxes allow the other mask to cover this fraction."""
        return self._max_intersections(others) >= fraction * self.areas[:, None]

    def _max_intersections(self, others: "_CroppedMasks") -> np.ndarray:
        """Return upper bounds `(N, M)` of the areas of intersection."""
        corners = np.maximum(self.boxes[:, None, :2], others.boxes[:, :2])
        sides = np.minimum(self.boxes[:, None, 2:], others.boxes[:, 2:]) - corners
        areas = np.minimum(self.areas[:, None], others.areas)
        return np.minimum(np.prod(np.maximum(sides, 0), axis=2), areas)


def _intersection(box: np.ndarray, other: np.ndarray) -> Box:
    x0, y0 = np.maximum(box[:2], other[:2]).tolist()
    x1, y1 = np.minimum(box[2:], other[2:]).tolist()
    return x0, y0, x1, y1


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return which of boxes `(N, 4)` overlap a box `(4,)`."""
    is_shared = (boxes[:, :2] < box[2:]) & (box[:2] < boxes[:, 2:])
    return np.all(is_shared, axis=1)
