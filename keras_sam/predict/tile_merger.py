"""`TileMerger`: the pieces that tiles show of objects, made whole again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_sam.masks.run_length_mask import RunLengthMask, intersection_area, runs_iou
from keras_sam.predict.tiles import Box

EDGE_FRACTION = (
    64  # of a tile's longer side: a mask that ends so near to an inner edge is cut by it
)

SHARED_BY_PARTS = 0.1  # of their pixels: more makes them a whole and its part


@dataclass(frozen=True, eq=False)
class Piece:
    """What a tile shows of an object.

    Attributes:
        runs: the mask, in the frame of the image.
        tile: number of the tile.
        rating: the estimate of its IoU.
        origin: whatever is to be found again.
    """

    runs: RunLengthMask
    tile: int
    rating: float
    origin: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class MergedMask:
    """An object.

    Attributes:
        runs: its mask, in the frame of the image.
        best: the piece whose scores are told: the highest rated, or the one that shows all of it.
    """

    runs: RunLengthMask
    best: Piece


class TileMerger:
    """Unites the pieces of an object that lie in several tiles, tile by tile.

    Two tiles see the pixels of their overlap both. Pieces whose masks agree there are one object,
    and so are all that hang together by such pairs, over any number of tiles and around corners.
    Of several candidates the pair that agrees most comes first, and so an object has one piece of
    a tile: masks that a tile keeps apart, such as a whole and its part, stay apart. Only what a
    tile cuts into parts, such as the legs of a bridge, becomes one where another tile shows it as
    one: if the parts are apart, and agree with that mask together.

    The mask of an object is the piece of a tile that shows all of it, the highest rated one, if
    the others agree with it, and else the union of the pieces. A piece that its tile cuts is left
    out if another tile that shows all of it has found nothing like it.

    An object is finished when no tile that may add to it is left, so that only objects near the
    tiles at work are held, as runs.

    Args:
        tiles: boxes XYXY, in the order in which they are added.
        size: `(height, width)` of the image.
        agreement: IoU of two masks in the overlap of their tiles, from which on they are one
            object; over 0, at most 1.

    Raises:
        ValueError: if the agreement is something else.
    """

    def __init__(self, tiles: Sequence[Box], size: tuple[int, int], *, agreement: float) -> None:
        if not 0 < agreement <= 1:
            raise ValueError(f"agreement must be over 0 and at most 1, got {agreement}")
        self.tiles = np.array(tiles, np.int64).reshape(-1, 4)
        self.size = size
        self.agreement = agreement
        self._by_top = np.argsort(self.tiles[:, 1], kind="stable")
        self._tops = self.tiles[self._by_top, 1]
        self._highest = int((self.tiles[:, 3] - self.tiles[:, 1]).max(initial=0))
        self._groups: dict[Piece, _Group] = {}
        self._open: dict[int, list[Piece]] = {}  # by tile

    def add(self, tile: int, pieces: Sequence[Piece]) -> list[MergedMask]:
        """Adds the pieces of the next tile.

        Returns:
            The objects that are finished, by the tile of their best piece and its falling rating.
        """
        neighbors = self._neighbors(tile)
        later = neighbors[neighbors > tile]
        for piece in pieces:
            waits = later[_shares_pixels(np.array(piece.runs.box), self.tiles[later])]
            self._groups[piece] = _Group([piece], {tile}, int(waits.max(initial=tile)))
        overlaps = self._overlaps(tile, pieces, neighbors[neighbors < tile])
        pairs = [pair for ours, theirs in overlaps for pair in self._pairs(ours, theirs)]
        for _, piece, other in sorted(pairs, key=lambda pair: -pair[0]):  # stable
            self._unite(piece, other)
        for ours, theirs in overlaps:
            self._unite_parts(ours, theirs)
            self._unite_parts(theirs, ours)
        self._open[tile] = list(pieces)
        return self._finished(tile)

    def _neighbors(self, tile: int) -> np.ndarray:
        """The tiles that overlap a tile, and itself, in order; only its rows are searched."""
        _, y0, _, y1 = self.tiles[tile]
        near = np.sort(self._by_top[slice(*np.searchsorted(self._tops, (y0 - self._highest, y1)))])
        return near[_shares_pixels(self.tiles[tile], self.tiles[near])]

    def _overlaps(
        self, tile: int, pieces: Sequence[Piece], others: np.ndarray
    ) -> list[tuple["_Parts", "_Parts"]]:
        """What this tile and each other one show of the pixels that they share."""
        overlaps = []
        for other in others.tolist():
            if theirs := self._open.get(other):
                box = _intersection(self.tiles[tile], self.tiles[other])
                overlaps.append((_Parts(pieces, box), _Parts(theirs, box)))
        return overlaps

    def _pairs(self, ours: "_Parts", theirs: "_Parts") -> list[tuple[float, Piece, Piece]]:
        """Pieces of two tiles that agree, and how much."""
        pairs = []
        for index, other in np.argwhere(ours.may_agree(theirs, self.agreement)).tolist():
            iou = runs_iou(ours.runs[index], theirs.runs[other])
            if iou >= self.agreement:
                pairs.append((iou, ours.pieces[index], theirs.pieces[other]))
        return pairs

    def _unite_parts(self, wholes: "_Parts", parts: "_Parts") -> None:
        """Unites pieces of one tile that the other tile shows as one."""
        may_cover = parts.may_be_covered(wholes, self.agreement)
        for index in np.flatnonzero(may_cover.sum(axis=0) > 1).tolist():
            whole, runs = wholes.pieces[index], wholes.runs[index]
            found = [
                part
                for part in np.flatnonzero(may_cover[:, index]).tolist()
                if self._may_be_part(parts.pieces[part], whole)
                and intersection_area(parts.runs[part], runs) >= self.agreement * parts.areas[part]
            ]
            if len(found) > 1:
                united = RunLengthMask.union(*(parts.runs[part] for part in found))
                are_apart = united.area >= (1 - SHARED_BY_PARTS) * parts.areas[found].sum()
                if are_apart and runs_iou(united, runs) >= self.agreement:
                    for part in found:
                        self._unite(parts.pieces[part], whole, is_part=True)

    def _may_be_part(self, part: Piece, whole: Piece) -> bool:
        group, joined = self._groups[part], self._groups[whole]
        is_free = group is joined or not (group.tiles & joined.tiles) - {part.tile}
        return is_free and self._is_cut(part.runs, part.tile)

    def _unite(self, piece: Piece, other: Piece, *, is_part: bool = False) -> None:
        group, joined = self._groups[piece], self._groups[other]
        shared = group.tiles & joined.tiles
        if group is joined or (shared - {piece.tile} if is_part else shared):
            return
        if len(group.pieces) < len(joined.pieces):
            group, joined = joined, group
        group.pieces += joined.pieces
        group.tiles |= joined.tiles
        group.last = max(group.last, joined.last)
        self._groups.update(dict.fromkeys(joined.pieces, group))

    def _finished(self, tile: int) -> list[MergedMask]:
        groups = {id(group): group for group in self._groups.values() if group.last <= tile}
        for group in groups.values():
            for piece in group.pieces:
                del self._groups[piece]
        self._open = {
            number: left
            for number, pieces in self._open.items()
            if (left := [piece for piece in pieces if piece in self._groups])
        }
        merged = [mask for group in groups.values() if (mask := self._merged(group.pieces))]
        return sorted(merged, key=lambda mask: (mask.best.tile, -mask.best.rating))

    def _merged(self, pieces: list[Piece]) -> MergedMask | None:
        pieces = sorted(pieces, key=lambda piece: (-piece.rating, piece.tile))
        whole = next((piece for piece in pieces if not self._is_cut(piece.runs, piece.tile)), None)
        if len(pieces) == 1:
            (piece,) = pieces
            return MergedMask(piece.runs, piece) if whole or not self._is_seen(piece) else None
        runs = RunLengthMask.union(*(piece.runs for piece in pieces))
        if whole is not None and runs_iou(whole.runs, runs) >= self.agreement:
            return MergedMask(whole.runs, whole)
        return MergedMask(runs, pieces[0])

    def _is_seen(self, piece: Piece) -> bool:
        """Whether another tile shows all of what a tile cuts."""
        box = np.array(piece.runs.box)
        return any(
            (box[:2] >= self.tiles[other, :2]).all()
            and (box[2:] <= self.tiles[other, 2:]).all()
            and not self._is_cut(piece.runs, other)
            for other in self._neighbors(piece.tile).tolist()
        )

    def _is_cut(self, runs: RunLengthMask, tile: int) -> bool:
        """Whether a mask ends at an edge of a tile that is not one of the image."""
        box, (x0, y0, x1, y1) = np.array(runs.box), self.tiles[tile]
        margin = max(1, int(max(x1 - x0, y1 - y0)) // EDGE_FRACTION)
        is_near = np.abs(box - self.tiles[tile]) < margin
        is_inner = self.tiles[tile] != (0, 0, self.size[1], self.size[0])
        return bool((is_near & is_inner).any())


@dataclass(eq=False)
class _Group:
    """The pieces of an object so far, their tiles, and the last tile that may add to it."""

    pieces: list[Piece]
    tiles: set[int]
    last: int


class _Parts:
    """What some pieces show of an overlap; those that do not reach it are left out."""

    def __init__(self, pieces: Sequence[Piece], box: Box) -> None:
        parts = [(piece, piece.runs.cropped(box)) for piece in pieces]
        self.pieces = [piece for piece, runs in parts if len(runs.columns)]
        self.runs = [runs for _, runs in parts if len(runs.columns)]
        self.boxes = np.array([runs.box for runs in self.runs], np.int64).reshape(-1, 4)
        self.areas = np.array([runs.area for runs in self.runs], np.int64)

    def may_agree(self, others: "_Parts", agreement: float) -> np.ndarray:
        """`(N, M)`: whether areas and boxes allow that the IoU is so high."""
        most = np.maximum(self.areas[:, None], others.areas)
        return self._shared_at_most(others) >= agreement * most

    def may_be_covered(self, others: "_Parts", agreement: float) -> np.ndarray:
        """`(N, M)`: whether boxes allow that so much of each lies in the other."""
        return self._shared_at_most(others) >= agreement * self.areas[:, None]

    def _shared_at_most(self, others: "_Parts") -> np.ndarray:
        corners = np.maximum(self.boxes[:, None, :2], others.boxes[:, :2])
        sides = np.minimum(self.boxes[:, None, 2:], others.boxes[:, 2:]) - corners
        areas = self.areas[:, None], others.areas
        return np.minimum(np.prod(np.maximum(sides, 0), axis=2), np.minimum(*areas))


def _intersection(box: np.ndarray, other: np.ndarray) -> Box:
    x0, y0 = np.maximum(box[:2], other[:2]).tolist()
    x1, y1 = np.minimum(box[2:], other[2:]).tolist()
    return x0, y0, x1, y1


def _shares_pixels(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which of boxes `(N, 4)` overlap a box `(4,)`."""
    is_shared = (boxes[:, :2] < box[2:]) & (box[:2] < boxes[:, 2:])
    return np.all(is_shared, axis=1)
