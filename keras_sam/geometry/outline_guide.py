"""`OutlineGuide`: moves the outlines of masks to the edges of the image nearby."""

import math
from dataclasses import dataclass

import numpy as np

from keras_sam.geometry.logits import OUTSIDE, to_logits, to_probabilities

# Variance of a colour in a window, of 0 to 1, from which an edge counts.
EDGE = 3e-5
# A window reaches so far to each side, by the side of a square as large as the mask. Where a box
# tells about where it ends, its outline is nearer.
REACH = 0.2
REACH_IN_BOX = 0.12
LEAST_REACH = 0.5  # cells: smaller masks stay as they are, they would melt away
RADII = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # cells
PASSES = 3
LEAST = np.float32(1e-4)  # probability: logits stay within 9.2
PAIRS = (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)  # of the colours red, green, blue

Window = tuple[slice, slice]


@dataclass(frozen=True)
class OutlinedMask:
    """A mask whose outline the image has moved.

    Attributes:
        low_res_logits: float32 `(L, L)`.
        support: how surely the image's colours say what is inside, 0.5 to 1: the mean of the
            mask's probabilities within it. `None` where the mask stays as the model gives it.
    """

    low_res_logits: np.ndarray
    support: float | None


class OutlineGuide:
    """A guided filter (He, Sun and Tang, Guided Image Filtering, 2013) of masks by their image.

    In each small window a mask's probabilities are told as a linear function of the image's
    colours, as well as that can be done, and what the windows around a cell say is averaged. So a
    mask that ends beside an edge of the image comes to end at it, and loses what is of another
    colour. Windows are larger for larger masks, whose outlines are farther off.

    Args:
        pixels: `(h, w, 3)` uint8, the image at the scale of the low-res logits.
        original_size: `(height, width)` of the image.
    """

    def __init__(self, pixels: np.ndarray, original_size: tuple[int, int]) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(
                f"pixels must be uint8 of shape (h, w, 3), got {pixels.dtype} {pixels.shape}"
            )
        self.pixels = pixels
        self.original_size = original_size
        self._scales = [
            cells / size for cells, size in zip(pixels.shape[:2], original_size, strict=True)
        ]
        self._filters: dict[int, _Filter] = {}

    def refined(self, low_res_logits: np.ndarray, *, within: Window | None = None) -> OutlinedMask:
        """Low-res logits `(L, L)` of a mask to those of a better outlined one.

        Args:
            low_res_logits: of the image, padded right and bottom.
            within: rows and columns of the original that the mask may lie in; `None` for all.

        Returns:
            Logits within 9.2; -16 in the padding, and outside of the window. A mask that is empty
            stays as it is.
        """
        height, width = self.pixels.shape[:2]
        limit = self._cells(within)
        inside = low_res_logits[:height, :width][limit]
        if not (inside > 0).any():
            return OutlinedMask(low_res_logits, None)
        reach = REACH if within is None else REACH_IN_BOX
        probabilities = np.zeros((height, width), np.float32)
        found, is_moved = to_probabilities(inside), False
        for _ in range(PASSES):
            probabilities[limit] = np.clip(found, LEAST, 1 - LEAST)
            area = np.count_nonzero(probabilities > 0.5)
            if (cells := reach * math.sqrt(area)) < LEAST_REACH:
                break
            found, is_moved = self._filter(cells)(probabilities)[limit], True
        found = np.clip(found, LEAST, 1 - LEAST)
        refined = np.full(low_res_logits.shape, OUTSIDE, np.float32)
        refined[:height, :width][limit] = to_logits(found)
        is_inside = found > 0.5
        support = float(found[is_inside].mean()) if is_moved and is_inside.any() else None
        return OutlinedMask(refined, support)

    def _filter(self, cells: float) -> "_Filter":
        radius = min(RADII, key=lambda radius: abs(math.log(radius / cells)))
        if radius not in self._filters:
            self._filters[radius] = _Filter(self.pixels, radius)
        return self._filters[radius]

    def _cells(self, within: Window | None) -> Window:
        """The cells that rows and columns of the original reach, and one more."""
        if within is None:
            return slice(None), slice(None)
        rows, columns = (
            slice(math.floor(part.start * scale), math.ceil(part.stop * scale) + 1)
            for part, scale in zip(within, self._scales, strict=True)
        )
        return rows, columns


class _Filter:
    """The guided filter of one image with windows of one size, as equation 19 has it."""

    def __init__(self, pixels: np.ndarray, radius: int) -> None:
        self.radius = radius
        rows, columns = (_counts(length, radius) for length in pixels.shape[:2])
        self.share = (1 / (rows[:, None] * columns)).astype(np.float32)
        colours = np.moveaxis(pixels, -1, 0).astype(np.float32, order="C")
        self.guide = colours / np.float32(255) - np.float32(0.5)
        one, other = np.transpose(PAIRS)
        moments = self._means(np.concatenate([self.guide, self.guide[one] * self.guide[other]]))
        self.means, products = moments[:3], moments[3:]
        self.inverse = _inverses(products - self.means[one] * self.means[other])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`(h, w)` float32 to the same shape."""
        moments = self._means(np.concatenate([values[None], self.guide * values]))
        covariance = moments[1:] - self.means * moments[0]
        slopes = (self.inverse * covariance).sum(1)
        offsets = moments[0] - (slopes * self.means).sum(0)
        lines = self._means(np.concatenate([slopes, offsets[None]]))
        return (lines[:3] * self.guide).sum(0) + lines[3]

    def _means(self, values: np.ndarray) -> np.ndarray:
        """Means of `(n, h, w)` over the part of a window around each cell that there is."""
        return _window_sums(values, self.radius) * self.share


def _inverses(covariances: np.ndarray) -> np.ndarray:
    """The inverse `(3, 3, h, w)` of covariances `(6, h, w)` of `PAIRS`, by cofactors.

    The diagonal has `EDGE` more. In float64: colours of a grey image vary as one.
    """
    is_diagonal = np.array([one == other for one, other in PAIRS])
    rr, rg, rb, gg, gb, bb = covariances.astype(np.float64) + EDGE * is_diagonal[:, None, None]
    cofactors = np.stack(
        [
            gg * bb - gb * gb,
            gb * rb - rg * bb,
            rg * gb - gg * rb,
            rr * bb - rb * rb,
            rg * rb - rr * gb,
            rr * gg - rg * rg,
        ]
    )
    cofactors /= rr * cofactors[0] + rg * cofactors[1] + rb * cofactors[2]
    return cofactors.astype(np.float32)[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]]


def _counts(length: int, radius: int) -> np.ndarray:
    """How many places of `length` lie within `radius` of each."""
    places = np.arange(length)
    return np.minimum(places, radius) + np.minimum(places[::-1], radius) + 1


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """Sums of `(n, h, w)` over the window around each cell; zeros are beyond."""
    count, height, width = values.shape
    shape = count, height + 2 * radius, width + 2 * radius
    padded = np.zeros(shape, values.dtype)
    padded[:, radius : radius + height, radius : radius + width] = values
    # Laid end to end, neighbours are as far apart everywhere, and no sum that is kept runs on
    # from a row into the next.
    flat = padded.ravel()
    for step in (1, shape[2]):
        flat = _sliding_sums(flat, 2 * radius + 1, step)
    sums = np.empty(padded.size, values.dtype)
    sums[: len(flat)] = flat
    return sums.reshape(shape)[:, :height, :width]


def _sliding_sums(values: np.ndarray, window: int, step: int) -> np.ndarray:
    """Sums of `window` values, an odd number, `step` apart, from each place on that has them."""
    length = len(values) - (window - 1) * step
    # Sums of 1, 2, 4, ... values; those in `window` are put end to end.
    sums, total, start, size = values, values[:length], 1, 1
    while 2 * size <= window:
        sums = sums[: -size * step] + sums[size * step :]
        size *= 2
        if window & size:
            total = total + sums[start * step : start * step + length]
            start += size
    return total
