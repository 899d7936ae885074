"""`draw_annotations`: all masks of an image, with a legend of their scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.label_map import records_to_label_map
from keras_sam.drawing.color_graph import color_graph
from keras_sam.drawing.legend import add_legend
from keras_sam.drawing.overlay import (
    WHITE,
    blend,
    check_image,
    mask_color,
    signed_distance,
    to_uint8,
)
from keras_sam.masks.measures import mask_to_box

NUM_COLORS = 9  # first colors of `draw_overlay`; the tenth, brown, is hard to see
MIN_LEGEND_SIDE = 900  # smaller images are enlarged to at least this longer side for a legend
FILL_OPACITY, RIM_OPACITY = 0.42, 0.8
BICUBIC = Image.Resampling.BICUBIC


def draw_annotations(
    image: np.ndarray, records: Sequence[Mapping[str, Any]], *, legend: bool = True
) -> np.ndarray:
    """Draw all masks of an image, with different colors for neighbors.

    Smaller masks are drawn on top of larger ones, each with a crisp boundary.

    Args:
        image: RGB image `(H, W, 3)` uint8. It is not changed.
        records: Masks with their scores. There may be none.
        legend: If True, the masks with the highest predicted IoU are numbered and listed next to
            the image. Small images are enlarged by a whole number to make the legend readable.

    Returns:
        A new image `(H', W', 3)` uint8. Without a legend, it has the size of the input.

    Raises:
        TypeError: If the image is not an array, or a record is not a dictionary.
        ValueError: If the image has another shape or dtype, a mask does not have the image's size,
            or a score is not finite.
    """
    check_image(image)
    height, width = image.shape[:2]
    labels = records_to_label_map(records, (height, width))
    scale = max(1, math.ceil(MIN_LEGEND_SIDE / max(height, width))) if legend else 1
    unit = max(1.0, max(height, width) * scale / MIN_LEGEND_SIDE)  # about the line width
    step = max(1, int(unit))  # finer boundaries than the line width would not be visible
    labels = labels[_middle_pixels(height, step)[:, None], _middle_pixels(width, step)]
    gap = max(1, max(labels.shape) // 100)
    color_indices = color_graph(labels, num_colors=NUM_COLORS, gap=gap)
    colors = np.array([mask_color(index) for index in color_indices.tolist()], np.float64)
    enlarged = Image.fromarray(image).resize((width * scale, height * scale), BICUBIC)
    canvas = np.array(enlarged, np.float32)
    lines = np.zeros(canvas.shape[:2], np.float32)
    for label in np.unique(labels[labels > 0]).tolist():
        _draw_mask(canvas, lines, labels == label, colors[label], unit=unit, scale=scale * step)
    blend(canvas, WHITE, lines)
    overlay = to_uint8(canvas)
    return add_legend(overlay, records, labels, colors) if legend else overlay


def _middle_pixels(length: int, step: int) -> np.ndarray:
    """Return the index of the middle pixel of each block of `step` pixels."""
    return np.minimum(np.arange(0, length, step) + step // 2, length - 1)


def _draw_mask(
    canvas: np.ndarray,
    lines: np.ndarray,
    mask: np.ndarray,
    color: np.ndarray,
    *,
    unit: float,
    scale: int,
) -> None:
    """Fill the visible part of a mask, more opaque near its boundary, and add the boundary line.

    Args:
        canvas: Image `(H, W, 3)` float32, changed in place.
        lines: Opacity of the boundary lines `(H, W)` float32, changed in place.
        mask: Boolean `(ceil(H / scale), ceil(W / scale))`.
        color: RGB color `(3,)`, values in [0, 255].
        unit: Approximate line width in canvas pixels.
        scale: Canvas pixels per mask pixel.
    """
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    rim = 7 * unit
    margin = math.ceil(rim / scale) + 3
    top, left = max(0, y0 - margin), max(0, x0 - margin)
    depth = signed_distance(mask[top : y1 + margin, left : x1 + margin], margin)
    height, width = (side * scale for side in depth.shape)
    depth = scale * np.array(Image.fromarray(depth).resize((width, height), BICUBIC))
    top, left = top * scale, left * scale
    region = slice(top, top + height), slice(left, left + width)
    depth = depth[: canvas.shape[0] - top, : canvas.shape[1] - left]
    rim_share = np.clip(1 - depth / rim, 0, 1) ** 2
    opacity = FILL_OPACITY + (RIM_OPACITY - FILL_OPACITY) * rim_share
    blend(canvas[region], color, opacity * np.clip(depth + 0.5, 0, 1))
    line = np.clip(0.8 * unit + 0.5 - np.abs(depth), 0, 1)
    np.maximum(lines[region], 0.9 * line, out=lines[region])
