"""`OriginalMasks`: logits measured and drawn in the original frame, a few rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from keras_sam.geometry.model_frame import ModelFrame


@dataclass(frozen=True)
class MaskPart:
    """A mask as the part of its logits that draws it: far smaller than its pixels.

    Attributes:
        box: XYXY in whole pixels of the original, x1 and y1 behind the last; empty masks have
            `(0, 0, 0, 0)`.
        stability_score: IoU of the mask cut at threshold + offset and at threshold - offset; NaN
            if no logit is over the lower one.
        values: the logits that reach into the box, or their probabilities.
        rows: which rows of the low-res grid they are.
        columns: which columns.
    """

    box: tuple[int, int, int, int]
    stability_score: float
    values: np.ndarray = field(repr=False)
    rows: slice
    columns: slice


class OriginalMasks:
    """Measures and draws masks of one frame; nothing of the original's size is held but masks.

    Only the pixels that a logit over the lower threshold reaches are looked at, so that small
    masks are cheap.

    Args:
        frame: the way to the original.
        low_res_size: `(height, width)` of the logits.
        threshold: logits over it are the mask.
        offset: of the two thresholds that the stability score compares.
    """

    def __init__(
        self,
        frame: ModelFrame,
        low_res_size: tuple[int, int],
        *,
        threshold: float = 0.0,
        offset: float = 1.0,
    ) -> None:
        self.frame = frame
        self._axes = frame.resizers(low_res_size)
        # Probabilities are interpolated where the frame says so: then thresholds are, too.
        cuts = np.array([threshold - offset, threshold, threshold + offset], np.float32)
        self._low, self._cut, self._high = (float(cut) for cut in frame.interpolated(cuts))

    def measure(
        self, low_res_logits: np.ndarray, *, within: tuple[slice, slice] | None = None
    ) -> MaskPart:
        """The box and the stability of a mask `(L, L)`, in one pass over its pixels.

        Args:
            low_res_logits: `(L, L)`.
            within: rows and columns of the original that the mask may lie in; `None` for all.
        """
        values = self.frame.interpolated(low_res_logits)
        reached = values > self._low
        rows, columns = (np.flatnonzero(reached.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return _empty(float("nan"))
        window = tuple(
            axis.reached_by(found[0], found[-1])
            for axis, found in zip(self._axes, (rows, columns), strict=True)
        )
        if within is not None:
            window = tuple(map(_intersection, window, within))
        if any(side.start >= side.stop for side in window):  # in the padding alone, or outside
            return _empty(float("nan"))
        counts = np.zeros(2, np.int64)
        in_row = np.zeros(window[0].stop - window[0].start, bool)
        in_column = np.zeros(window[1].stop - window[1].start, bool)
        for place, pixels in self._bands(values, *window):
            counts += np.count_nonzero(pixels > self._high), np.count_nonzero(pixels > self._low)
            inside = pixels > self._cut
            in_row[place] = inside.any(axis=1)
            in_column |= inside.any(axis=0)
        stability = float(counts[0] / counts[1]) if counts[1] else float("nan")
        return self._part(values, window, in_row, in_column, stability)

    def draw(self, part: MaskPart) -> np.ndarray:
        """The pixels of a mask's box, boolean `(y1 - y0, x1 - x0)`."""
        x0, y0, x1, y1 = part.box
        mask = np.zeros((y1 - y0, x1 - x0), bool)
        if not mask.size:
            return mask
        values = np.zeros([axis.weights.shape[1] for axis in self._axes], np.float32)
        values[part.rows, part.columns] = part.values
        for place, pixels in self._bands(values, slice(y0, y1), slice(x0, x1)):
            np.greater(pixels, self._cut, out=mask[place])
        return mask

    def _bands(
        self, values: np.ndarray, rows: slice, columns: slice
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Some rows of the pixels of a window at a time, and where in it they lie."""
        vertical, horizontal = self._axes
        reach = horizontal.reach(columns)
        stretched = values[vertical.reach(rows), reach] @ horizontal.weights[columns, reach].T
        return vertical.bands(stretched, rows)

    def _part(
        self,
        values: np.ndarray,
        window: tuple[slice, ...],
        in_row: np.ndarray,
        in_column: np.ndarray,
        stability: float,
    ) -> MaskPart:
        ys, xs = np.flatnonzero(in_row), np.flatnonzero(in_column)
        if not len(ys):
            return _empty(stability)
        y0, x0 = window[0].start, window[1].start
        box = (int(x0 + xs[0]), int(y0 + ys[0]), int(x0 + xs[-1] + 1), int(y0 + ys[-1] + 1))
        rows = self._axes[0].reach(slice(box[1], box[3]))
        columns = self._axes[1].reach(slice(box[0], box[2]))
        return MaskPart(box, stability, values[rows, columns].copy(), rows, columns)


def _intersection(one: slice, other: slice) -> slice:
    return slice(max(one.start, other.start), min(one.stop, other.stop))


def _empty(stability: float) -> MaskPart:
    nothing = np.zeros((0, 0), np.float32)
    return MaskPart((0, 0, 0, 0), stability, nothing, slice(0, 0), slice(0, 0))
