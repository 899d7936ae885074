"""`add_legend`: number the best masks, and list their scores next to the image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_sam.annotations.mask_record import DEFAULT_CATEGORY, record_category, record_scores
from keras_sam.drawing.overlay import WHITE, blend, to_uint8
from keras_sam.masks.measures import mask_interior_point
from keras_sam.types import Size

IOU_TITLE, AREA_TITLE = "predicted IoU, highest first", "share of the image, largest first"
INK, MUTED_INK, TRACK_COLOR = (32, 36, 42), (125, 131, 139), (232, 235, 238)
MAX_ROWS = 20
# Lengths in units of 1/900 of the image's longer side.
ROW_HEIGHT, HEADER_HEIGHT, PADDING, BADGE_RADIUS = 30, 76, 20, 11
NAME_WIDTH, BAR_WIDTH, DIGITS_WIDTH = 120, 96, 46


def add_legend(
    image: np.ndarray,
    records: Sequence[Mapping[str, Any]],
    labels: np.ndarray,
    colors: np.ndarray,
) -> np.ndarray:
    """Number the masks with the highest predicted IoU and list them in a column on the right.

    Each row is a mask: its number in its color, its category if any record has one, and its
    predicted IoU as a bar and in digits. If a visible mask has no predicted IoU, masks are listed
    by area instead. Fully hidden masks are counted but not listed.

    Args:
        image: Image with the masks drawn, `(H, W, 3)` uint8.
        records: Masks with their scores.
        labels: Index of the visible record plus 1, 0 for the background. The array has the
            proportions of the image and any resolution.
        colors: RGB color `(K + 1, 3)` of each label, values in [0, 255].

    Returns:
        `(H', W', 3)` uint8: the image and the column, as high as the higher of both.

    Raises:
        ValueError: If a score is not finite.
    """
    height, width = image.shape[:2]
    unit = max(height, width) / 900
    title, values = _values_to_list(records, labels)
    max_rows = int((height / unit - HEADER_HEIGHT - ROW_HEIGHT) / ROW_HEIGHT)
    max_rows = max(3, min(MAX_ROWS, max_rows))
    listed = sorted(values, key=lambda index: (-values[index], index))[:max_rows]
    names = [record_category(records[index]) for index in listed]
    bar_start = _bar_start(title, [values[index] for index in listed])
    column = _Column(width, unit, title, bar_start, names)
    num_unlisted = len(records) - len(listed)
    num_lines = len(listed) + (num_unlisted > 0)
    bottom = max(height, round(unit * (HEADER_HEIGHT + ROW_HEIGHT * num_lines + 12)))
    canvas = np.full((bottom, round(column.right + unit * PADDING), 3), 255, np.float32)
    canvas[:height, :width] = image

    texts = column.header(len(records), num_unlisted)
    centers: list[tuple[float, float]] = []
    for row, index in enumerate(listed):
        color, number = colors[index + 1], str(row + 1)
        radius = (BADGE_RADIUS + 2) * unit
        centers.append(_badge_center(labels == index + 1, (height, width), radius, centers))
        for center in (centers[-1], column.badge_center(row)):
            texts.append(_draw_badge(canvas, center, number, color, unit))
        texts += column.draw_row(canvas, row, values[index], color)
    return _write_texts(canvas, texts)


@dataclass(frozen=True)
class _Text:
    """A text to write on the canvas.

    Attributes:
        position: (x, y) of the anchor in pixels.
        text: One line of text.
        size: Font size in pixels.
        color: RGB color.
        anchor: Anchor in Pillow's notation, such as `"lm"` for left and middle.
    """

    position: tuple[float, float]
    text: str
    size: float
    color: tuple[int, ...]
    anchor: str


@dataclass(frozen=True)
class _Column:
    """Layout of the legend column.

    Attributes:
        image_width: Width of the image on the left in pixels.
        unit: 1/900 of the image's longer side in pixels.
        title: `IOU_TITLE` or `AREA_TITLE`.
        bar_start: Value at the start of the bars. The end is 1.
        names: Categories of the rows.
    """

    image_width: int
    unit: float
    title: str
    bar_start: float
    names: list[str]

    @property
    def has_names(self) -> bool:
        return bool(set(self.names) - {DEFAULT_CATEGORY})

    @property
    def left(self) -> float:
        return self.image_width + self.unit * PADDING

    @property
    def bar_left(self) -> float:
        name_width = NAME_WIDTH if self.has_names else 0
        return self.left + self.unit * (2 * BADGE_RADIUS + 12 + name_width)

    @property
    def right(self) -> float:
        return self.bar_left + self.unit * (BAR_WIDTH + 10 + DIGITS_WIDTH)

    def badge_center(self, row: int) -> tuple[float, float]:
        y = self.unit * (HEADER_HEIGHT + ROW_HEIGHT * (row + 0.5))
        return self.left + self.unit * BADGE_RADIUS, y

    def header(self, num_masks: int, num_unlisted: int) -> list[_Text]:
        """Return the texts above the rows, and the number of unlisted masks below them."""
        unit = self.unit
        count = "1 mask" if num_masks == 1 else f"{num_masks:,} masks"
        texts = [_Text((self.left, 26 * unit), count, 18 * unit, INK, "lm")]
        if self.names:
            ends = ("0 %", "100 %")
            if self.title == IOU_TITLE:
                ends = (f"{self.bar_start:.1f}", "1.0")
            y, bar_right = (HEADER_HEIGHT - 4) * unit, self.bar_left + BAR_WIDTH * unit
            texts += [
                _Text((self.left, 47 * unit), self.title, 12 * unit, MUTED_INK, "lm"),
                _Text((self.bar_left, y), ends[0], 10 * unit, MUTED_INK, "lm"),
                _Text((bar_right, y), ends[1], 10 * unit, MUTED_INK, "rm"),
            ]
        if num_unlisted:
            y = self.badge_center(len(self.names))[1]
            more = f"and {num_unlisted:,} more"
            texts.append(_Text((self.left, y), more, 12 * unit, MUTED_INK, "lm"))
        return texts

    def draw_row(
        self, canvas: np.ndarray, row: int, value: float, color: np.ndarray
    ) -> list[_Text]:
        """Draw the bar of a row, and return its digits and name."""
        unit, y = self.unit, self.badge_center(row)[1]
        start, length = (self.bar_left + 3 * unit, y), (BAR_WIDTH - 6) * unit
        share = min(1.0, max(0.0, (value - self.bar_start) / (1 - self.bar_start)))
        _draw_pill(canvas, start, start[0] + length, 3 * unit, TRACK_COLOR)
        _draw_pill(canvas, start, start[0] + length * share, 3 * unit, color)
        digits = f"{100 * value:.1f} %" if self.title == AREA_TITLE else f"{value:.2f}"
        texts = [_Text((self.right, y), digits, 14 * unit, INK, "rm")]
        if self.has_names:
            name = self.names[row]
            name = name if len(name) <= 16 else f"{name[:15]}…"
            x = self.left + unit * (2 * BADGE_RADIUS + 10)
            texts.append(_Text((x, y), name, 14 * unit, INK, "lm"))
        return texts


def _values_to_list(
    records: Sequence[Mapping[str, Any]], labels: np.ndarray
) -> tuple[str, dict[int, float]]:
    """Return the legend's title, and visible record index -> predicted IoU or area."""
    areas = np.bincount(labels.ravel(), minlength=len(records) + 1)[1:]
    visible = np.flatnonzero(areas).tolist()
    scores: dict[int, Any] = {
        index: record_scores(records[index]).get("predicted_iou") for index in visible
    }
    if None in scores.values():
        return AREA_TITLE, {index: float(areas[index] / labels.size) for index in visible}
    return IOU_TITLE, scores


def _bar_start(title: str, values: list[float]) -> float:
    """Return a multiple of 0.1 below all values, so that differences between bars are visible."""
    if title == AREA_TITLE or not values:
        return 0.0
    return min(0.9, max(0.0, math.floor(10 * min(values) - 0.5) / 10))


def _badge_center(
    region: np.ndarray,
    size: Size,
    radius: float,
    others: Sequence[tuple[float, float]],
) -> tuple[float, float]:
    """Return the center (x, y) of a region's badge in pixels of an image of `size`.

    It is the region's interior point, clear of other badges if possible, and inside the image.
    """
    step = max(1, max(region.shape) // 300)  # a coarse grid suffices
    coarse = region[step // 2 :: step, step // 2 :: step]
    if not coarse.any():
        coarse, step = region, 1
    scale = size[0] / region.shape[0]
    xs, ys = (scale * (np.arange(side) * step + step // 2 + 0.5) for side in coarse.shape[::-1])
    clear = coarse.copy()
    for x, y in others:
        clear &= np.hypot(xs - x, ys[:, None] - y) > 2 * radius
    column, row = mask_interior_point(clear if clear.any() else coarse)
    return _clip_center(xs[column], size[1], radius), _clip_center(ys[row], size[0], radius)


def _clip_center(center: float, length: int, radius: float) -> float:
    return float(max(min(center, length - radius), min(radius, length / 2)))


def _draw_badge(
    canvas: np.ndarray, center: tuple[float, float], number: str, color: np.ndarray, unit: float
) -> _Text:
    """Draw a disc with a white ring, and return its number."""
    _draw_pill(canvas, center, center[0], (BADGE_RADIUS + 2) * unit, WHITE)
    _draw_pill(canvas, center, center[0], BADGE_RADIUS * unit, color)
    # Dark text on light colors (luma weights of BT.601).
    ink = INK if color @ (0.299, 0.587, 0.114) > 160 else WHITE
    return _Text(center, number, 13 * unit, ink, "mm")


def _draw_pill(
    canvas: np.ndarray, start: tuple[float, float], right: float, radius: float, color: Any
) -> None:
    """Draw a disc around (x, y), extended to the right up to another center."""
    (left, middle), margin = start, radius + 1
    y0, y1 = (int(np.clip(middle + side, 0, canvas.shape[0])) for side in (-margin, margin + 1))
    x0 = int(np.clip(left - margin, 0, canvas.shape[1]))
    x1 = int(np.clip(right + margin + 1, 0, canvas.shape[1]))
    x, y = np.arange(x0, x1)[None] + 0.5, np.arange(y0, y1)[:, None] + 0.5
    distance = np.hypot(x - np.clip(x, left, right), y - middle)
    blend(canvas[y0:y1, x0:x1], color, np.clip(radius + 0.5 - distance, 0, 1))


def _write_texts(canvas: np.ndarray, texts: Sequence[_Text]) -> np.ndarray:
    image = Image.fromarray(to_uint8(canvas))
    draw = ImageDraw.Draw(image)
    for text in texts:
        font = ImageFont.load_default(size=max(1, text.size))
        x, y = text.position
        y -= 0.06 * text.size  # centers digits, which are higher than the line's middle
        draw.text((x, y), text.text, fill=text.color, font=font, anchor=text.anchor)
    return np.array(image)
