"""`draw_regions`: a picture cut into regions that leave no gap, as people outline photographs."""

import numpy as np

from recipes.sam_tiny_synthetic.canvas import Canvas
from recipes.sam_tiny_synthetic.shapes import contour
from recipes.sam_tiny_synthetic.surfaces import random_color, random_surface, shade, smooth_noise

Rng = np.random.Generator

MIN_SHARE = 0.01  # of the picture: smaller regions are not cut again
WHOLE_PROBABILITY = 0.3  # that a region which is cut stays a mask beside its pieces
KIN_PROBABILITY = 0.3  # that a region has about the color of the one before it


def draw_regions(canvas: Canvas, rng: Rng) -> None:
    """Fills the canvas with 3 to 14 curved regions; each is a mask, and some of their unions."""
    label, wholes = cut_picture(canvas.size, int(rng.integers(2, 14)), rng)
    color = random_color(rng)
    regions = [mask for kind in range(label.max() + 1) if (mask := label == kind).any()]
    for mask in regions:
        if rng.random() < KIN_PROBABILITY:
            color = np.clip(color * np.exp(rng.normal(0, 0.25)), 0.02, 1).astype(np.float32)
        else:
            color = random_color(rng)
        canvas.image[mask] = shade(random_surface(canvas.size, rng, color), mask, rng)[mask]
        canvas.masks.append(mask)
    canvas.masks.extend(wholes)


def cut_picture(size: int, cuts: int, rng: Rng) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cuts a picture again and again; large regions are cut more often.

    Args:
        size: side of the picture in pixels.
        cuts: number of cuts.
        rng: of the choices.

    Returns:
        `(S, S)` int, the number of the region of each pixel, and masks `(S, S)` of some of the
        regions as they were before a cut.
    """
    label = np.zeros((size, size), int)
    wholes: list[np.ndarray] = []
    for number in range(1, cuts + 1):
        shares = np.bincount(label.ravel(), minlength=number) / label.size
        weights = np.where(shares > MIN_SHARE, shares**0.6, 0.0)
        region = label == rng.choice(number, p=weights / weights.sum())
        kind = rng.random()
        if kind < 0.4:
            piece = region & _beside_line(region, rng)
        elif kind < 0.6:
            piece = region & _where_noise_is_high(region, rng)
        else:
            piece = _around_a_pixel(region, rng)
            piece = piece if kind > 0.8 else piece & region  # in front of all, or inside one
        if rng.random() < WHOLE_PROBABILITY and (region & ~piece).any():
            wholes.append(region)
        label[piece] = number
    return label, wholes


def _beside_line(region: np.ndarray, rng: Rng) -> np.ndarray:
    """One side of a wavy line through a pixel of the region; mostly a level one."""
    size = region.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    angle = rng.normal(0, 0.35) if rng.random() < 0.6 else rng.random() * np.pi
    height = y * np.cos(angle) - x * np.sin(angle)
    height += 0.35 * rng.random() ** 2 * (smooth_noise(size, rng, 4) - 0.5)
    row, column = _pixel_of(region, rng)
    return height > height[row, column]


def _where_noise_is_high(region: np.ndarray, rng: Rng) -> np.ndarray:
    """Where smooth noise is above a level that the region's pixels have, often in few pieces."""
    noise = smooth_noise(region.shape[0], rng, int(rng.integers(0, 3)))
    return noise > np.quantile(noise[region], rng.uniform(0.3, 0.7))


def _around_a_pixel(region: np.ndarray, rng: Rng) -> np.ndarray:
    """A blob about as large as the region or smaller."""
    row, column = _pixel_of(region, rng)
    radius = np.sqrt(region.sum() / np.pi) * rng.uniform(0.25, 0.9)
    rough = rng.random() ** 2
    return contour(region.shape[0], rng, column, row, radius, rough=rough)


def _pixel_of(mask: np.ndarray, rng: Rng) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    index = rng.integers(len(rows))
    return int(rows[index]), int(columns[index])
