"""`BilinearMatrix`: linear interpolation along one axis, as a banded matrix."""

from collections.abc import Iterator

import numpy as np

ROWS_PER_BLOCK = 64  # the logits of this number of rows stay in the CPU cache


class BilinearMatrix:
    """A banded interpolation matrix from low-res cells to pixels of the original.

    Args:
        weights: Matrix `(pixels, cells)`, float32. Each row sums to 1, and its nonzero entries
            are neighbors.
    """

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        is_used = weights != 0
        self._first = is_used.argmax(axis=1)
        self._last = weights.shape[1] - 1 - is_used[:, ::-1].argmax(axis=1)

    def source_slice(self, pixels: slice) -> slice:
        """Return the cells from which these pixels are interpolated."""
        return slice(int(self._first[pixels.start]), int(self._last[pixels.stop - 1]) + 1)

    def target_slice(self, first: int, last: int) -> slice:
        """Return the pixels that depend on any cell from `first` to `last`; may be empty."""
        start = np.searchsorted(self._last, first, side="left")
        stop = np.searchsorted(self._first, last, side="right")
        return slice(int(start), int(stop))

    def iter_row_blocks(
        self, values: np.ndarray, pixels: slice
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield interpolated values a block of rows at a time.

        Args:
            values: Values `(..., cells, W)` of the cells in `source_slice(pixels)`.
            pixels: Rows to compute.

        Yields:
            Position of the block among `pixels`, and its values `(..., rows, W)`.
        """
        top = self.source_slice(pixels).start
        for start in range(pixels.start, pixels.stop, ROWS_PER_BLOCK):
            block = slice(start, min(start + ROWS_PER_BLOCK, pixels.stop))
            cells = self.source_slice(block)
            sources = values[..., cells.start - top : cells.stop - top, :]
            position = slice(start - pixels.start, block.stop - pixels.start)
            yield position, self.weights[block, cells] @ sources


def interpolation_weights(cells: int, image_side: int, input_side: int, pixels: int) -> np.ndarray:
    """Compute the weights of Meta's mask upsampling along one axis.

    Upsampling to the model frame, cropping its padding and resizing to the original are each
    linear, so together they are one matrix.

    Args:
        cells: Number of low-res cells.
        image_side: Side of the model frame in pixels.
        input_side: Side of the image in the model frame, without padding.
        pixels: Side of the original in pixels.

    Returns:
        Weights `(pixels, cells)`, float32.
    """
    values = _interpolate(np.eye(cells), image_side)[:input_side]
    return _interpolate(values, pixels).astype(np.float32)


def stretch_weights(cells: int, pixels: int) -> np.ndarray:
    """Compute the weights `(pixels, cells)` of one bilinear resize."""
    return _interpolate(np.eye(cells), pixels).astype(np.float32)


def _interpolate(values: np.ndarray, new_size: int) -> np.ndarray:
    """Interpolate linearly between pixel centers along the first axis."""
    size = len(values)
    # Rounded where PyTorch rounds: pixels at the boundaries of Meta's masks depend on it.
    scale = np.float32(size) / np.float32(new_size)
    positions = ((np.arange(new_size) + 0.5) * np.float64(scale) - 0.5).astype(np.float32)
    positions = np.clip(positions, 0, size - 1)
    low = np.floor(positions).astype(int)
    high = np.minimum(low + 1, size - 1)
    share = (positions - low)[:, None]
    return values[low] * (1 - share) + values[high] * share
