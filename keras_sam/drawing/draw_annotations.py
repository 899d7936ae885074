"""`draw_annotations`: all masks of a photograph, with a legend of their scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_sam.annotations.label_map import records_to_label_map
from keras_sam.drawing.color_graph import color_graph
from keras_sam.drawing.legend import add_legend
from keras_sam.drawing.overlay import WHITE, blend, check_image, mask_color, signed_distance
from keras_sam.masks.measures import mask_to_box

PALETTE = 9  # the first colors of `draw_overlay`; brown, the tenth, is hard to see
BICUBIC = Image.Resampling.BICUBIC
READABLE = 900  # pixels of the longer side, below which a picture with a legend is enlarged
FILL, RIM = 0.42, 0.8  # opacity inside a mask and at its outline


def draw_annotations(
    image: np.ndarray, records: Sequence[Mapping[str, Any]], *, legend: bool = True
) -> np.ndarray:
    """Draws all masks of an image in colors that tell neighbors apart.

    Smaller masks are drawn on top of larger ones, each with a crisp outline.

    Args:
        image: `(H, W, 3)` uint8; left as it is.
        records: masks with their scores; there may be none.
        legend: whether the masks of the best `predicted_iou` are numbered, and listed beside the
            picture. Small pictures are enlarged for it by a whole number, so that it can be read.

    Returns:
        `(H', W', 3)` uint8, a new array: without a legend of the image's size, with one larger.

    Raises:
        TypeError: if the image is not an array.
        ValueError: if the image is something else, or a mask has another size.
    """
    check_image(image)
    height, width = image.shape[:2]
    labels = records_to_label_map(records, (height, width))
    scale = max(1, math.ceil(READABLE / max(height, width))) if legend else 1
    unit = max(1.0, max(height, width) * scale / READABLE)  # lines grow with the picture
    step = max(1, int(unit))  # outlines need not be finer than their width
    labels = labels[_middles(height, step)[:, None], _middles(width, step)]
    gap = max(1, max(labels.shape) // 100)
    numbers = color_graph(labels, colors=PALETTE, gap=gap)
    colors = np.array([mask_color(number) for number in numbers.tolist()], np.float64)
    enlarged = Image.fromarray(image).resize((width * scale, height * scale), BICUBIC)
    canvas = np.array(enlarged, np.float32)
    lines = np.zeros(canvas.shape[:2], np.float32)
    for label in np.unique(labels[labels > 0]).tolist():
        _draw_region(canvas, lines, labels == label, colors[label], unit=unit, scale=scale * step)
    blend(canvas, WHITE, lines)
    picture: np.ndarray = np.clip(np.round(canvas), 0, 255).astype(np.uint8)
    return add_legend(picture, records, labels, colors) if legend else picture


def _middles(length: int, step: int) -> np.ndarray:
    """The middle pixel of every stretch of some pixels."""
    return np.minimum(np.arange(0, length, step) + step // 2, length - 1)


def _draw_region(
    canvas: np.ndarray,
    lines: np.ndarray,
    region: np.ndarray,
    color: np.ndarray,
    *,
    unit: float,
    scale: int,
) -> None:
    """Fills what is seen of a mask, stronger towards its outline, and notes the outline.

    Args:
        canvas: `(H, W, 3)` float32, drawn on.
        lines: `(H, W)`, the opacity of outlines, drawn on.
        region: `(ceil(H / scale), ceil(W / scale))` bool.
        color: `(3,)`.
        unit: about the width of an outline, pixels of the canvas.
        scale: pixels of the canvas for one of the region.
    """
    x0, y0, x1, y1 = mask_to_box(region).astype(int)
    reach = 7 * unit  # of the rim
    margin = math.ceil(reach / scale) + 3
    top, left = max(0, y0 - margin), max(0, x0 - margin)
    depth = signed_distance(region[top : y1 + margin, left : x1 + margin], margin)
    height, width = (side * scale for side in depth.shape)
    depth = scale * np.array(Image.fromarray(depth).resize((width, height), BICUBIC))
    place = (
        slice(top * scale, top * scale + height),
        slice(left * scale, left * scale + width),
    )
    depth = depth[: canvas.shape[0] - top * scale, : canvas.shape[1] - left * scale]
    rim = np.clip(1 - depth / reach, 0, 1) ** 2
    blend(canvas[place], color, (FILL + (RIM - FILL) * rim) * np.clip(depth + 0.5, 0, 1))
    line = np.clip(0.8 * unit + 0.5 - np.abs(depth), 0, 1)
    np.maximum(lines[place], 0.9 * line, out=lines[place])
