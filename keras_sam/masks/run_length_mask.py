"""`RunLengthMask`: a mask as runs of pixels down its columns, whatever the size of its image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_sam.masks.rle_counts import MOST_CHARACTERS, read_counts, write_counts
from keras_sam.types import is_size

MOST_PIXELS_OF_RUNS = 2 ** (5 * MOST_CHARACTERS - 1) - 1


@dataclass(frozen=True, eq=False)
class RunLengthMask:
    """A mask without the pixels in it or around it.

    Its size is that of its outline, so that masks of an image of any size are cheap to hold, to
    unite and to compare.

    Attributes:
        columns: `(R,)` int64, x of each run, rising.
        tops: `(R,)` int64, y of its first pixel, rising in a column.
        bottoms: `(R,)` int64, y behind its last pixel. No two runs of a column touch.
    """

    columns: np.ndarray
    tops: np.ndarray
    bottoms: np.ndarray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.bottoms - self.tops).sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """XYXY, x1 and y1 behind the last pixel; zeros for an empty mask."""
        if not len(self.columns):
            return 0, 0, 0, 0
        x0, x1 = int(self.columns[0]), int(self.columns[-1]) + 1
        return x0, int(self.tops.min()), x1, int(self.bottoms.max())

    def moved(self, x: int, y: int) -> "RunLengthMask":
        """So many pixels to the right and down."""
        return RunLengthMask(self.columns + x, self.tops + y, self.bottoms + y)

    def within(self, box: tuple[int, int, int, int]) -> "RunLengthMask":
        """What lies in a box XYXY."""
        x0, y0, x1, y1 = box
        place = slice(*np.searchsorted(self.columns, (x0, x1)))
        tops, bottoms = np.maximum(self.tops[place], y0), np.minimum(self.bottoms[place], y1)
        is_left = tops < bottoms
        return RunLengthMask(self.columns[place][is_left], tops[is_left], bottoms[is_left])


def mask_to_runs(mask: np.ndarray) -> RunLengthMask:
    """The runs of a mask `(H, W)`."""
    edges = np.diff(np.pad(np.asarray(mask, bool).T, ((0, 0), (1, 1))).view(np.int8), axis=1)
    columns, tops = np.nonzero(edges > 0)
    return RunLengthMask(columns, tops, np.nonzero(edges < 0)[1])


def runs_to_mask(runs: RunLengthMask, box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of a box XYXY, boolean `(y1 - y0, x1 - x0)`; its columns are contiguous."""
    x0, y0, x1, y1 = box
    inside = runs.within(box)
    pitch = y1 - y0 + 1  # with a place behind each column, where its last run ends
    edges = np.zeros((x1 - x0) * pitch + 1, np.int8)
    columns = (inside.columns - x0) * pitch - y0
    edges[columns + inside.tops] = 1
    edges[columns + inside.bottoms] = -1
    mask: np.ndarray = np.cumsum(edges[:-1], dtype=np.int8).reshape(x1 - x0, pitch)
    return mask[:, :-1].astype(bool).T


def coco_rle_to_runs(rle: Mapping[str, Any]) -> RunLengthMask:
    """The runs of a COCO RLE, compressed or a list, of up to `2 ** 39 - 1` pixels.

    Raises:
        ValueError: if it is malformed, or its runs do not fill its size.
    """
    if not isinstance(rle, Mapping) or not {"size", "counts"} <= set(rle):
        raise ValueError("an RLE is a dictionary with 'size' and 'counts'")
    if not is_size(rle["size"]):
        raise ValueError(f"an RLE's size is [height, width] in whole pixels, got {rle['size']!r}")
    height, width = (int(side) for side in rle["size"])
    check_rle_size((height, width))
    counts = read_counts(rle["counts"])
    # Each run is checked by itself first, so that no sum can overflow.
    if counts.min() < 0 or counts.max() > height * width or counts.sum() != height * width:
        raise ValueError(f"the runs of an RLE do not fill its size {[height, width]}")
    ends = np.cumsum(counts)
    starts, ends = ends[:-1:2], ends[1::2]
    starts, ends = starts[starts < ends], ends[starts < ends]
    return _split_at_columns(*_joined(starts, ends), height)


def runs_to_coco_rle(runs: RunLengthMask, size: tuple[int, int]) -> dict[str, Any]:
    """A compressed COCO RLE of an image `(height, width)`, made without drawing the mask.

    Raises:
        ValueError: if the mask leaves the image, or the image is larger than an RLE can be.
    """
    height, width = size
    check_rle_size(size)
    x0, y0, x1, y1 = runs.box
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        raise ValueError(f"a mask with the box {runs.box} is not in an image of size {size}")
    starts, ends = _joined(runs.columns * height + runs.tops, runs.columns * height + runs.bottoms)
    edges = np.column_stack([starts, ends]).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    if len(counts) > 1 and not counts[-1]:  # the mask ends with the image
        counts = counts[:-1]
    return {"size": [int(height), int(width)], "counts": write_counts(counts)}


def unite_runs(masks: Sequence[RunLengthMask]) -> RunLengthMask:
    """The union of masks, one or more."""
    if len(masks) == 1:
        return masks[0]
    columns = np.concatenate([runs.columns for runs in masks])
    tops = np.concatenate([runs.tops for runs in masks])
    bottoms = np.concatenate([runs.bottoms for runs in masks])
    if not len(columns):
        return masks[0]
    # A place below each column keeps its last run apart from the next column's first.
    first, pitch = tops.min(), bottoms.max() - tops.min() + 1
    starts, ends = columns * pitch + tops - first, columns * pitch + bottoms - first
    order = np.argsort(starts, kind="stable")
    starts, ends = _joined(starts[order], np.maximum.accumulate(ends[order]))
    columns = starts // pitch
    return RunLengthMask(columns, starts - columns * pitch + first, ends - columns * pitch + first)


def runs_iou(runs: RunLengthMask, other: RunLengthMask) -> float:
    """Intersection over union of two masks; 1 for two empty ones."""
    shared = shared_area(runs, other)
    union = runs.area + other.area - shared
    return shared / union if union else 1.0


def shared_area(runs: RunLengthMask, other: RunLengthMask) -> int:
    """Number of pixels that two masks share."""
    return runs.area + other.area - unite_runs([runs, other]).area


def check_rle_size(size: tuple[int, int]) -> None:
    """Refuses an image `(height, width)` that is larger than an RLE can be.

    Raises:
        ValueError: if it has more than `2 ** 39 - 1` pixels.
    """
    if int(size[0]) * int(size[1]) > MOST_PIXELS_OF_RUNS:
        raise ValueError(f"an RLE has at most {MOST_PIXELS_OF_RUNS} pixels, got size {list(size)}")


def _joined(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs without gaps between them made one; both ends must rise."""
    is_apart = starts[1:] > ends[:-1]
    return (
        starts[np.concatenate([[True], is_apart])[: len(starts)]],
        ends[np.concatenate([is_apart, [True]])[-len(ends) :] if len(ends) else slice(0)],
    )


def _split_at_columns(starts: np.ndarray, ends: np.ndarray, height: int) -> RunLengthMask:
    """Runs of places, column after column, cut where a column ends."""
    first, last = starts // height, (ends - 1) // height
    parts = last - first + 1
    columns = np.repeat(first, parts)
    columns += np.arange(len(columns)) - np.repeat(np.cumsum(parts) - parts, parts)
    tops = np.maximum(np.repeat(starts, parts) - columns * height, 0)
    bottoms = np.minimum(np.repeat(ends, parts) - columns * height, height)
    return RunLengthMask(columns, tops, bottoms)
