"""`Resizer`: the linear map that takes one axis of a low-res grid to the original."""

from collections.abc import Iterator

import numpy as np

BAND = 64  # pixels whose logits stay in a processor's cache


class Resizer:
    """A matrix whose rows are zero but for a few neighbours, which move on along it.

    Args:
        weights: `(pixels, samples)` float32; each row sums to 1.
    """

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        is_used = weights != 0
        self._first = is_used.argmax(axis=1)
        self._last = weights.shape[1] - 1 - is_used[:, ::-1].argmax(axis=1)

    def reach(self, pixels: slice) -> slice:
        """The samples that some pixels take."""
        return slice(int(self._first[pixels.start]), int(self._last[pixels.stop - 1]) + 1)

    def reached_by(self, first: int, last: int) -> slice:
        """The pixels that take any of the samples from `first` to `last`; perhaps none."""
        start = np.searchsorted(self._last, first, side="left")
        stop = np.searchsorted(self._first, last, side="right")
        return slice(int(start), int(stop))

    def bands(self, values: np.ndarray, pixels: slice) -> Iterator[tuple[slice, np.ndarray]]:
        """A few pixels at a time: where they lie among `pixels`, and their values.

        Args:
            values: `(..., samples, W)`, the samples that `reach(pixels)` tells.
            pixels: which to compute.
        """
        top = self.reach(pixels).start
        for start in range(pixels.start, pixels.stop, BAND):
            band = slice(start, min(start + BAND, pixels.stop))
            samples = self.reach(band)
            sources = values[..., samples.start - top : samples.stop - top, :]
            place = slice(start - pixels.start, band.stop - pixels.start)
            yield place, self.weights[band, samples] @ sources
