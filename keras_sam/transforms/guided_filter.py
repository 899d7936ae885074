"""`GuidedFilterRefiner`: move mask boundaries to nearby edges of the image."""

import math
from dataclasses import dataclass

import numpy as np

from keras_sam.transforms.logits import BACKGROUND_LOGIT, logit, sigmoid

REGULARIZATION = 3e-5  # variance of a color in [0, 1] above which a window has an edge
# Window radius, as a share of the side of a square with the mask's area. With a box the boundary
# is known better, so windows are smaller.
RADIUS_RATIO = 0.2
RADIUS_RATIO_IN_BOX = 0.12
MIN_RADIUS = 0.5  # cells; smaller masks would vanish and are left unchanged
RADII = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # cells
NUM_ITERATIONS = 3
MIN_PROBABILITY = np.float32(1e-4)  # keeps refined logits within ±9.2
CHANNEL_PAIRS = (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)  # of red, green, blue

Region = tuple[slice, slice]


@dataclass(frozen=True)
class RefinedMask:
    """A mask with a refined boundary.

    Attributes:
        low_res_logits: Logits `(L, L)`, float32.
        foreground_confidence: Mean probability inside the mask, in [0.5, 1]. `None` if the mask
            was left unchanged.
    """

    low_res_logits: np.ndarray
    foreground_confidence: float | None


class GuidedFilterRefiner:
    """A guided filter of masks by their image (He, Sun and Tang, Guided Image Filtering, 2013).

    In each small window, the mask's probabilities are fitted as a linear function of the image's
    colors, and each cell takes the average of the fits around it. A boundary near an edge of the
    image moves to that edge. Larger masks get larger windows.

    Args:
        pixels: Image `(h, w, 3)`, uint8, at the scale of the low-res logits, without padding.

    Raises:
        ValueError: If the pixels have another shape or dtype.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(
                f"pixels must be uint8 of shape (h, w, 3), got {pixels.dtype} {pixels.shape}"
            )
        self.pixels = pixels
        self._filters: dict[int, _GuidedFilter] = {}

    def refine(self, low_res_logits: np.ndarray, *, region: Region | None = None) -> RefinedMask:
        """Refine the boundary of one mask.

        Args:
            low_res_logits: Logits `(L, L)` in the model frame, with padding.
            region: Low-res rows and columns that the mask may cover, or `None` for all.

        Returns:
            Logits within ±9.2, and `BACKGROUND_LOGIT` in the padding and outside the region. An
            empty mask is returned unchanged.
        """
        height, width = self.pixels.shape[:2]
        inside = (slice(0, height), slice(0, width)) if region is None else region
        current = low_res_logits[:height, :width][inside]
        if not (current > 0).any():
            return RefinedMask(low_res_logits, None)
        radius_ratio = RADIUS_RATIO if region is None else RADIUS_RATIO_IN_BOX
        probabilities = np.zeros((height, width), np.float32)
        filtered, is_refined = sigmoid(current), False
        for _ in range(NUM_ITERATIONS):
            probabilities[inside] = np.clip(filtered, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
            area = np.count_nonzero(probabilities > 0.5)
            if (radius := radius_ratio * math.sqrt(area)) < MIN_RADIUS:
                break
            filtered, is_refined = self._filter(radius)(probabilities, inside), True
        filtered = np.clip(filtered, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        refined = np.full(low_res_logits.shape, BACKGROUND_LOGIT, np.float32)
        refined[:height, :width][inside] = logit(filtered)
        is_mask = filtered > 0.5
        confidence = float(filtered[is_mask].mean()) if is_refined and is_mask.any() else None
        return RefinedMask(refined, confidence)

    def _filter(self, radius: float) -> "_GuidedFilter":
        nearest = min(RADII, key=lambda size: abs(math.log(size / radius)))
        if nearest not in self._filters:
            self._filters[nearest] = _GuidedFilter(self.pixels, nearest)
        return self._filters[nearest]


class _GuidedFilter:
    """The guided filter of one image with one window size, as in equation 19 of the paper."""

    def __init__(self, pixels: np.ndarray, radius: int) -> None:
        self.radius = radius
        rows, columns = (_window_counts(length, radius) for length in pixels.shape[:2])
        self.share = (1 / (rows[:, None] * columns)).astype(np.float32)
        colors = np.moveaxis(pixels, -1, 0).astype(np.float32, order="C")
        self.guide = colors / np.float32(255) - np.float32(0.5)
        first, second = np.transpose(CHANNEL_PAIRS)
        products = self.guide[first] * self.guide[second]
        moments = self._means(np.concatenate([self.guide, products]), self.share)
        self.means, products = moments[:3], moments[3:]
        self.inverse = _invert_covariances(products - self.means[first] * self.means[second])

    def __call__(self, values: np.ndarray, region: Region) -> np.ndarray:
        """Filter values that are zero outside a region.

        Args:
            values: Values `(h, w)`, float32.
            region: Rows and columns that the values may cover.

        Returns:
            Filtered values of the region.
        """
        # Windows with a cell of the region lie within this part.
        top, left = (max(0, side.start - self.radius) for side in region)
        bottom, right = (side.stop + self.radius for side in region)
        part = slice(top, bottom), slice(left, right)
        values, guide = values[part], self.guide[:, *part]
        means, inverse, share = self.means[:, *part], self.inverse[:, :, *part], self.share[part]
        moments = self._means(np.concatenate([values[None], guide * values]), share)
        covariance = moments[1:] - means * moments[0]
        slopes = (inverse * covariance).sum(1)
        offsets = moments[0] - (slopes * means).sum(0)
        lines = self._means(np.concatenate([slopes, offsets[None]]), share)
        filtered = (lines[:3] * guide).sum(0) + lines[3]
        rows, columns = region
        return filtered[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]

    def _means(self, values: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Average `(n, h, w)` over the part of each cell's window that is inside the image."""
        return _window_sums(values, self.radius) * share


def _invert_covariances(covariances: np.ndarray) -> np.ndarray:
    """Invert regularized covariances `(6, h, w)` of `CHANNEL_PAIRS`: `(3, 3, h, w)`.

    Cofactors in float64, since the channels of a gray image are fully correlated.
    """
    is_diagonal = np.array([first == second for first, second in CHANNEL_PAIRS])
    regularized = covariances.astype(np.float64) + REGULARIZATION * is_diagonal[:, None, None]
    rr, rg, rb, gg, gb, bb = regularized
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


def _window_counts(length: int, radius: int) -> np.ndarray:
    """Count the positions within `radius` of each of `length` positions."""
    positions = np.arange(length)
    return np.minimum(positions, radius) + np.minimum(positions[::-1], radius) + 1


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum `(n, h, w)` over the window around each cell, with zeros beyond the border.

    Half the time of `scipy.ndimage.uniform_filter` for the small grids used here.
    """
    count, height, width = values.shape
    shape = count, height + 2 * radius, width + 2 * radius
    padded = np.zeros(shape, values.dtype)
    padded[:, radius : radius + height, radius : radius + width] = values
    # Vertical neighbors in the flat array are a fixed step apart. Sums that run over the end of
    # a row fall into the padding, which is dropped.
    flat = padded.ravel()
    for step in (1, shape[2]):
        flat = _sliding_sums(flat, 2 * radius + 1, step)
    sums = np.empty(padded.size, values.dtype)
    sums[: len(flat)] = flat
    return sums.reshape(shape)[:, :height, :width]


def _sliding_sums(values: np.ndarray, window: int, step: int) -> np.ndarray:
    """Sum `window` values, an odd number, that are `step` apart, starting at each position."""
    length = len(values) - (window - 1) * step
    # Sums of 1, 2, 4, ... values; those whose sizes add up to the window are combined.
    sums, total, start, size = values, values[:length], 1, 1
    while 2 * size <= window:
        sums = sums[: -size * step] + sums[size * step :]
        size *= 2
        if window & size:
            total = total + sums[start * step : start * step + length]
            start += size
    return total
