"""`RunLengthMask`: a mask stored as runs of pixels in its columns."""

from dataclasses import dataclass

import numpy as np

from keras_sam.masks.intervals import counts_to_mask, intervals_to_counts, merge_intervals
from keras_sam.masks.measures import check_mask
from keras_sam.types import Box


@dataclass(frozen=True, eq=False)
class RunLengthMask:
    """A mask stored as runs of pixels in its columns.

    Memory and time grow with the number of runs, not with the size of the image. Masks of very
    large images are therefore cheap to store, unite and compare.

    Attributes:
        columns: `(R,)` int64, x of each run, ascending.
        tops: `(R,)` int64, y of the first pixel of each run, ascending within a column.
        bottoms: `(R,)` int64, exclusive end y of each run. Runs of a column do not touch.
    """

    columns: np.ndarray
    tops: np.ndarray
    bottoms: np.ndarray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.bottoms - self.tops).sum())

    @property
    def box(self) -> Box:
        """Tight XYXY box; x1 and y1 are exclusive. All zeros for an empty mask."""
        if not len(self.columns):
            return 0, 0, 0, 0
        x0, x1 = int(self.columns[0]), int(self.columns[-1]) + 1
        return x0, int(self.tops.min()), x1, int(self.bottoms.max())

    def shifted(self, x: int, y: int) -> "RunLengthMask":
        """Return the mask shifted by x pixels to the right and y pixels down."""
        return RunLengthMask(self.columns + x, self.tops + y, self.bottoms + y)

    def cropped(self, box: Box) -> "RunLengthMask":
        """Return the part of the mask inside an XYXY box, at the same coordinates."""
        x0, y0, x1, y1 = box
        inside = slice(*np.searchsorted(self.columns, (x0, x1)))
        columns = self.columns[inside]
        tops, bottoms = np.maximum(self.tops[inside], y0), np.minimum(self.bottoms[inside], y1)
        is_run = tops < bottoms
        return RunLengthMask(columns[is_run], tops[is_run], bottoms[is_run])

    def union(self, *others: "RunLengthMask") -> "RunLengthMask":
        """Return the union of this mask and any number of others."""
        masks = (self, *others)
        if not any(len(mask.columns) for mask in others):
            return self
        columns = np.concatenate([mask.columns for mask in masks])
        tops = np.concatenate([mask.tops for mask in masks])
        bottoms = np.concatenate([mask.bottoms for mask in masks])
        # One row more than the masks need, so that runs of two columns never touch.
        y0, pitch = tops.min(), bottoms.max() - tops.min() + 1
        offsets = columns * pitch - y0
        starts, ends = merge_intervals(offsets + tops, offsets + bottoms)
        columns = starts // pitch
        offsets = columns * pitch - y0
        return RunLengthMask(columns, starts - offsets, ends - offsets)


def mask_to_runs(mask: np.ndarray) -> RunLengthMask:
    """Convert a mask `(H, W)` to runs.

    Raises:
        ValueError: If the mask has another shape.
    """
    mask = check_mask(mask)
    height, width = mask.shape
    pitch = height + 1
    # The columns one after another, a background pixel before each and after the last.
    pixels = np.zeros(width * pitch + 1, bool)
    pixels[:-1].reshape(width, pitch)[:, 1:] = mask.T
    changes = np.flatnonzero(pixels[1:] != pixels[:-1])
    starts, ends = changes[::2], changes[1::2]
    columns = starts // pitch
    return RunLengthMask(columns, starts - columns * pitch, ends - columns * pitch)


def runs_to_mask(runs: RunLengthMask, box: Box) -> np.ndarray:
    """Convert the part of a mask inside an XYXY box to pixels.

    Returns:
        Boolean mask `(y1 - y0, x1 - x0)`. Its columns are contiguous in memory.
    """
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    part = runs.cropped(box)
    offsets = (part.columns - x0) * height - y0
    starts, ends = offsets + part.tops, offsets + part.bottoms
    counts = intervals_to_counts(starts, ends, total=height * width)
    return counts_to_mask(counts, (height, width))


def runs_iou(runs: RunLengthMask, other: RunLengthMask) -> float:
    """Intersection over union of two masks. 1 for two empty masks."""
    intersection = intersection_area(runs, other)
    union = runs.area + other.area - intersection
    return intersection / union if union else 1.0


def intersection_area(runs: RunLengthMask, other: RunLengthMask) -> int:
    """Number of pixels that two masks have in common."""
    return runs.area + other.area - runs.union(other).area
