"""Backgrounds: regions that cover the whole image without gaps, each of them a mask."""

import numpy as np

from recipes.sam_tiny_synthetic.scenes.canvas import Canvas
from recipes.sam_tiny_synthetic.scenes.shapes import draw_contour
from recipes.sam_tiny_synthetic.scenes.surfaces import (
    random_color,
    random_surface,
    shade,
    smooth_noise,
)

Rng = np.random.Generator

MIN_CUT_AREA = 0.01  # of the image; smaller regions are not cut again
PARENT_PROBABILITY = 0.3  # that a region is also a mask as it was before a cut
RELATED_COLOR_PROBABILITY = 0.3  # that a region has about the color of the one before


def draw_background(canvas: Canvas, rng: Rng) -> None:
    """Fill the canvas with bands, smooth regions or one surface."""
    kind = rng.random()
    if kind < 0.5:
        labels = _bands(canvas.size, rng)
    elif kind < 0.85:
        fields = [smooth_noise(canvas.size, rng, 2) for _ in range(int(rng.integers(2, 6)))]
        labels = np.stack(fields).argmax(0)
    else:
        labels = np.zeros((canvas.size, canvas.size), int)
    base = random_color(rng)
    for mask in _label_masks(labels):
        color = base if rng.random() < 0.25 else random_color(rng)
        canvas.image[mask] = random_surface(canvas.size, rng, color)[mask]
        canvas.masks.append(mask)


def _bands(size: int, rng: Rng) -> np.ndarray:
    """Label wavy bands, such as sky, hills and ground: `(S, S)` int."""
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None] + np.zeros((1, size), np.float32)
    x = np.linspace(-0.5, 0.5, size, dtype=np.float32)[None]
    heights = np.sort(rng.random(int(rng.integers(1, 5)) - 1))
    slope = rng.normal(0, 0.15)
    labels = np.zeros((size, size), int)
    for height in heights:
        line = height + slope * x + 0.25 * rng.random() ** 2 * (_ridge_line(size, rng) - 0.5)
        labels += y > line
    return labels


def _ridge_line(size: int, rng: Rng) -> np.ndarray:
    """Draw the heights of hills, `(1, S)`, about 0 to 1."""
    line = np.zeros(size, np.float32)
    for k in range(1, 24):
        line += rng.normal() / k**1.3 * np.cos(np.linspace(0, np.pi * k, size) + rng.random() * 6.3)
    return (0.5 + line / 4)[None]


def draw_regions(canvas: Canvas, rng: Rng) -> None:
    """Fill the canvas with 3 to 14 curved regions.

    Photographs are annotated like this. Some unions of regions are masks too.
    """
    labels, parent_regions = cut_regions(canvas.size, int(rng.integers(2, 14)), rng)
    color = random_color(rng)
    for mask in _label_masks(labels):
        if rng.random() < RELATED_COLOR_PROBABILITY:
            color = np.clip(color * np.exp(rng.normal(0, 0.25)), 0.02, 1).astype(np.float32)
        else:
            color = random_color(rng)
        surface = random_surface(canvas.size, rng, color)
        canvas.image[mask] = shade(surface, mask, rng)[mask]
        canvas.masks.append(mask)
    canvas.masks.extend(parent_regions)


def _label_masks(labels: np.ndarray) -> list[np.ndarray]:
    """Return the masks of all labels that occur, by label."""
    masks = [labels == label for label in range(labels.max() + 1)]
    return [mask for mask in masks if mask.any()]


def cut_regions(size: int, cuts: int, rng: Rng) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cut an image into regions, one cut at a time. Large regions are cut more often.

    Args:
        size: Side of the image in pixels.
        cuts: Number of cuts.
        rng: Random number generator.

    Returns:
        The label of each pixel's region, `(S, S)` int, and masks `(S, S)` of some regions before
        they were cut.
    """
    labels = np.zeros((size, size), int)
    parent_regions: list[np.ndarray] = []
    for label in range(1, cuts + 1):
        areas = np.bincount(labels.ravel(), minlength=label) / labels.size
        weights = np.where(areas > MIN_CUT_AREA, areas**0.6, 0.0)
        region = labels == rng.choice(label, p=weights / weights.sum())
        piece = _random_piece(region, rng)
        if rng.random() < PARENT_PROBABILITY and (region & ~piece).any():
            parent_regions.append(region)
        labels[piece] = label
    return labels, parent_regions


def _random_piece(region: np.ndarray, rng: Rng) -> np.ndarray:
    """Choose the piece that a cut takes from a region; a blob may reach beyond it."""
    kind = rng.random()
    if kind < 0.4:
        return region & _side_of_line(region, rng)
    if kind < 0.6:
        return region & _high_noise(region, rng)
    blob = _blob(region, rng)
    return blob if kind > 0.8 else blob & region


def _side_of_line(region: np.ndarray, rng: Rng) -> np.ndarray:
    """Return one side of a wavy, mostly level line through a pixel of the region."""
    size = region.shape[0]
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    angle = rng.normal(0, 0.35) if rng.random() < 0.6 else rng.random() * np.pi
    height = y * np.cos(angle) - x * np.sin(angle)
    height += 0.35 * rng.random() ** 2 * (smooth_noise(size, rng, 4) - 0.5)
    return height > height[_random_pixel(region, rng)]


def _high_noise(region: np.ndarray, rng: Rng) -> np.ndarray:
    """Return the pixels where smooth noise is above a random quantile of the region's."""
    noise = smooth_noise(region.shape[0], rng, int(rng.integers(0, 3)))
    return noise > np.quantile(noise[region], rng.uniform(0.3, 0.7))


def _blob(region: np.ndarray, rng: Rng) -> np.ndarray:
    """Draw a blob around a pixel of the region, at most about as large as the region."""
    row, column = _random_pixel(region, rng)
    radius = np.sqrt(region.sum() / np.pi) * rng.uniform(0.25, 0.9)
    roughness = rng.random() ** 2
    return draw_contour(region.shape[0], rng, column, row, radius, roughness=roughness)


def _random_pixel(mask: np.ndarray, rng: Rng) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    index = rng.integers(len(rows))
    return int(rows[index]), int(columns[index])
