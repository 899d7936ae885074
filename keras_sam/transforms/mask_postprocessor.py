"""`MaskPostprocessor`: box, stability and pixels of a mask without full-size logits."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.types import Box, Size


@dataclass(frozen=True)
class LowResMaskCrop:
    """A mask as the part of its low-res logits that determines its pixels.

    Attributes:
        box: Tight box in the original; `(0, 0, 0, 0)` for an empty mask.
        stability_score: IoU of the mask at threshold + offset and at threshold - offset. NaN if
            no pixel exceeds the lower threshold.
        values: Logits, or probabilities where the model's masks are upsampled as such.
        rows: Rows of the low-res grid that `values` covers.
        columns: Columns of the low-res grid that `values` covers.
    """

    box: Box
    stability_score: float
    values: np.ndarray = field(repr=False)
    rows: slice
    columns: slice


class MaskPostprocessor:
    """Measurement and rendering of masks in the original, a few rows at a time.

    Only the pixels that depend on a logit over the lower threshold are computed, so small masks
    are cheap.

    Args:
        transform: Transform between the original and the model frame.
        low_res_size: `(height, width)` of the low-res logits.
        threshold: Logit above which a pixel belongs to the mask.
        offset: Difference between the threshold and those of the stability score.
    """

    def __init__(
        self,
        transform: ImageTransform,
        low_res_size: Size,
        *,
        threshold: float = 0.0,
        offset: float = 1.0,
    ) -> None:
        self.transform = transform
        self._matrices = transform.bilinear_matrices(low_res_size)
        thresholds = np.array([threshold - offset, threshold, threshold + offset], np.float32)
        self._low, self._threshold, self._high = transform.to_interpolated(thresholds).tolist()

    def compute_box_and_stability(self, low_res_logits: np.ndarray) -> LowResMaskCrop:
        """Compute the box and the stability score of a mask in one pass over its pixels.

        Args:
            low_res_logits: Logits `(L, L)` of one mask.
        """
        values = self.transform.to_interpolated(low_res_logits)
        is_near = values > self._low
        rows, columns = (np.flatnonzero(is_near.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return _empty_crop(float("nan"))
        region = tuple(
            matrix.target_slice(cells[0], cells[-1])
            for matrix, cells in zip(self._matrices, (rows, columns), strict=True)
        )
        if any(side.start >= side.stop for side in region):  # only in the padding
            return _empty_crop(float("nan"))
        counts = np.zeros(2, np.int64)
        in_row = np.zeros(region[0].stop - region[0].start, bool)
        in_column = np.zeros(region[1].stop - region[1].start, bool)
        for position, pixels in self._iter_row_blocks(values, *region):
            counts += np.count_nonzero(pixels > self._high), np.count_nonzero(pixels > self._low)
            mask = pixels > self._threshold
            in_row[position] = mask.any(axis=1)
            in_column |= mask.any(axis=0)
        stability_score = float(counts[0] / counts[1]) if counts[1] else float("nan")
        if not in_row.any():
            return _empty_crop(stability_score)
        box = _tight_box(in_row, in_column, region[0].start, region[1].start)
        return self._crop(values, box, stability_score)

    def render(self, crop: LowResMaskCrop) -> np.ndarray:
        """Compute the pixels of a mask's box, bool `(y1 - y0, x1 - x0)`."""
        x0, y0, x1, y1 = crop.box
        mask = np.zeros((y1 - y0, x1 - x0), bool)
        if not mask.size:
            return mask
        values = np.zeros([matrix.weights.shape[1] for matrix in self._matrices], np.float32)
        values[crop.rows, crop.columns] = crop.values
        for position, pixels in self._iter_row_blocks(values, slice(y0, y1), slice(x0, x1)):
            np.greater(pixels, self._threshold, out=mask[position])
        return mask

    def _iter_row_blocks(
        self, values: np.ndarray, rows: slice, columns: slice
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the interpolated pixels of a region, a block of rows at a time."""
        vertical, horizontal = self._matrices
        sources = horizontal.source_slice(columns)
        weights = horizontal.weights[columns, sources]
        stretched = values[vertical.source_slice(rows), sources] @ weights.T
        return vertical.iter_row_blocks(stretched, rows)

    def _crop(self, values: np.ndarray, box: Box, stability_score: float) -> LowResMaskCrop:
        rows = self._matrices[0].source_slice(slice(box[1], box[3]))
        columns = self._matrices[1].source_slice(slice(box[0], box[2]))
        return LowResMaskCrop(box, stability_score, values[rows, columns].copy(), rows, columns)


def _tight_box(in_row: np.ndarray, in_column: np.ndarray, top: int, left: int) -> Box:
    ys, xs = np.flatnonzero(in_row), np.flatnonzero(in_column)
    return int(left + xs[0]), int(top + ys[0]), int(left + xs[-1] + 1), int(top + ys[-1] + 1)


def _empty_crop(stability_score: float) -> LowResMaskCrop:
    nothing = np.zeros((0, 0), np.float32)
    return LowResMaskCrop((0, 0, 0, 0), stability_score, nothing, slice(0, 0), slice(0, 0))
