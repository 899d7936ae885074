"""`add_legend`: numbers on the best masks, and their scores beside the picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_sam.annotations.mask_record import DEFAULT_CATEGORY, record_category, record_scores
from keras_sam.drawing.overlay import WHITE, blend
from keras_sam.masks.measures import mask_interior_point

Text = tuple[
    tuple[float, float], str, float, tuple[int, ...], str
]  # place, words, size, ink, anchor

IOU, SHARE = "predicted IoU, best first", "share of the image, largest first"
INK, FAINT, TRACK = (32, 36, 42), (125, 131, 139), (232, 235, 238)
MOST_ROWS = 20
# Lengths in units of a 900th of the picture's longer side.
ROW, TOP, PADDING, BADGE = 30, 76, 20, 11
NAME, BAR, DIGITS = 120, 96, 46


def add_legend(
    picture: np.ndarray,
    records: Sequence[Mapping[str, Any]],
    labels: np.ndarray,
    colors: np.ndarray,
) -> np.ndarray:
    """Numbers the masks that are rated best, and lists them in a column on the right.

    A row is a mask: its number in its color, its category where one is named, and its predicted
    IoU as a bar and in digits. Where a mask has no score, all are listed by their size instead.
    Masks that smaller ones hide altogether are counted, but not listed.

    Args:
        picture: `(H, W, 3)` uint8, the masks drawn.
        records: masks with their scores.
        labels: the index + 1 of the record that is seen, of the picture's shape but coarser or
            finer.
        colors: `(K + 1, 3)`, of each label.

    Returns:
        `(H', W', 3)` uint8: the picture with the column, as high as the higher of both.
    """
    height, width = picture.shape[:2]
    unit = max(height, width) / 900
    title, values = _values(records, labels)
    shown = max(3, min(MOST_ROWS, int((height / unit - TOP - ROW) / ROW)))
    best = sorted(values, key=lambda index: (-values[index], index))[:shown]
    names = [record_category(records[index]) for index in best]
    column = _Column(width, unit, title, _floor(title, [values[index] for index in best]), names)
    unlisted = len(records) - len(best)
    bottom = max(height, round(unit * (TOP + ROW * (len(best) + (unlisted > 0)) + 12)))
    canvas = np.full((bottom, round(column.right + unit * PADDING), 3), 255, np.float32)
    canvas[:height, :width] = picture

    texts = column.head(len(records), unlisted)
    middles: list[tuple[float, float]] = []
    for place, index in enumerate(best):
        color, number = colors[index + 1], str(place + 1)
        middles.append(_middle(labels == index + 1, (height, width), (BADGE + 2) * unit, middles))
        for at in (middles[-1], column.at(place)):
            texts.append(_draw_badge(canvas, at, number, color, unit))
        texts += column.draw_row(canvas, place, values[index], color)
    return _write(canvas, texts)


@dataclass(frozen=True)
class _Column:
    """Where things stand in the column.

    Attributes:
        width: of the picture on the left.
        unit: pixels of a 900th of the picture's longer side.
        title: what masks are listed by.
        floor: the value at which bars begin; they end at 1.
        names: categories of the rows.
    """

    width: int
    unit: float
    title: str
    floor: float
    names: list[str]

    @property
    def has_names(self) -> bool:
        return bool(set(self.names) - {DEFAULT_CATEGORY})

    @property
    def left(self) -> float:
        return self.width + self.unit * PADDING

    @property
    def bar(self) -> float:
        return self.left + self.unit * (2 * BADGE + 12 + (NAME if self.has_names else 0))

    @property
    def right(self) -> float:
        return self.bar + self.unit * (BAR + 10 + DIGITS)

    def at(self, place: int) -> tuple[float, float]:
        """Middle of the badge of a row."""
        return self.left + self.unit * BADGE, self.unit * (TOP + ROW * (place + 0.5))

    def head(self, count: int, unlisted: int) -> list[Text]:
        """What stands above the rows, and below them how many masks have none."""
        unit, ends = self.unit, ("0 %", "100 %")
        masks = "1 mask" if count == 1 else f"{count:,} masks"
        texts: list[Text] = [((self.left, 26 * unit), masks, 18 * unit, INK, "lm")]
        if self.names:
            if self.title == IOU:
                ends = (f"{self.floor:.1f}", "1.0")
            y = (TOP - 4) * unit
            texts += [
                ((self.left, 47 * unit), self.title, 12 * unit, FAINT, "lm"),
                ((self.bar, y), ends[0], 10 * unit, FAINT, "lm"),
                ((self.bar + BAR * unit, y), ends[1], 10 * unit, FAINT, "rm"),
            ]
        if unlisted:
            y = self.at(len(self.names))[1]
            texts.append(((self.left, y), f"and {unlisted:,} more", 12 * unit, FAINT, "lm"))
        return texts

    def draw_row(
        self, canvas: np.ndarray, place: int, value: float, color: np.ndarray
    ) -> list[Text]:
        """Draws the bar of a row; its digits and name are yet to be written."""
        unit, y = self.unit, self.at(place)[1]
        start, length = (self.bar + 3 * unit, y), (BAR - 6) * unit
        share = min(1.0, max(0.0, (value - self.floor) / (1 - self.floor)))
        _draw_pill(canvas, start, start[0] + length, 3 * unit, TRACK)
        _draw_pill(canvas, start, start[0] + length * share, 3 * unit, color)
        digits = f"{100 * value:.1f} %" if self.title == SHARE else f"{value:.2f}"
        texts: list[Text] = [((self.right, y), digits, 14 * unit, INK, "rm")]
        if self.has_names:
            name = self.names[place]
            name = name if len(name) <= 16 else f"{name[:15]}…"
            texts.append(((self.left + unit * (2 * BADGE + 10), y), name, 14 * unit, INK, "lm"))
        return texts


def _values(
    records: Sequence[Mapping[str, Any]], labels: np.ndarray
) -> tuple[str, dict[int, float]]:
    """What masks are listed by, and the value of each that is seen."""
    areas = np.bincount(labels.ravel(), minlength=len(records) + 1)[1:]
    seen = np.flatnonzero(areas).tolist()
    scores: dict[int, Any] = {
        index: record_scores(records[index]).get("predicted_iou") for index in seen
    }
    if None in scores.values():
        return SHARE, {index: float(areas[index] / labels.size) for index in seen}
    return IOU, scores


def _floor(title: str, values: list[float]) -> float:
    """Where bars begin: a tenth somewhat below the least value, so that they tell values apart."""
    if title == SHARE or not values:
        return 0.0
    return min(0.9, max(0.0, math.floor(10 * min(values) - 0.5) / 10))


def _middle(
    region: np.ndarray,
    size: tuple[int, int],
    radius: float,
    others: Sequence[tuple[float, float]],
) -> tuple[float, float]:
    """Where in a picture of some size the badge of a region stands.

    That is the region's deepest point (x, y), if possible clear of other badges; it is moved off
    the picture's border.
    """
    step = max(1, max(region.shape) // 300)  # a coarse look is enough
    coarse = region[step // 2 :: step, step // 2 :: step]
    if not coarse.any():
        coarse, step = region, 1
    scale = size[0] / region.shape[0]
    xs, ys = (scale * (np.arange(side) * step + step // 2 + 0.5) for side in coarse.shape[::-1])
    clear = coarse.copy()
    for x, y in others:
        clear &= np.hypot(xs - x, ys[:, None] - y) > 2 * radius
    column, row = mask_interior_point(clear if clear.any() else coarse)
    return _within(xs[column], size[1], radius), _within(ys[row], size[0], radius)


def _within(middle: float, length: int, margin: float) -> float:
    return float(max(min(middle, length - margin), min(margin, length / 2)))


def _draw_badge(
    canvas: np.ndarray, middle: tuple[float, float], number: str, color: np.ndarray, unit: float
) -> Text:
    """Draws a disc with a white ring; its number is yet to be written."""
    _draw_pill(canvas, middle, middle[0], (BADGE + 2) * unit, WHITE)
    _draw_pill(canvas, middle, middle[0], BADGE * unit, color)
    # White on it, or dark where it is light (weights of BT.601).
    ink = INK if color @ (0.299, 0.587, 0.114) > 160 else WHITE
    return middle, number, 13 * unit, ink, "mm"


def _draw_pill(
    canvas: np.ndarray, start: tuple[float, float], right: float, radius: float, color: Any
) -> None:
    """A disc of some radius, drawn out to the right."""
    (left, middle), margin = start, radius + 1
    y0, y1 = (int(np.clip(middle + side, 0, canvas.shape[0])) for side in (-margin, margin + 1))
    x0 = int(np.clip(left - margin, 0, canvas.shape[1]))
    x1 = int(np.clip(right + margin + 1, 0, canvas.shape[1]))
    x, y = np.arange(x0, x1)[None] + 0.5, np.arange(y0, y1)[:, None] + 0.5
    distance = np.hypot(x - np.clip(x, left, right), y - middle)
    blend(canvas[y0:y1, x0:x1], color, np.clip(radius + 0.5 - distance, 0, 1))


def _write(canvas: np.ndarray, texts: Sequence[Text]) -> np.ndarray:
    picture = Image.fromarray(np.clip(np.round(canvas), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for place, words, size, ink, anchor in texts:
        font = ImageFont.load_default(size=max(1, size))
        x, y = place[0], place[1] - 0.06 * size  # digits reach above the middle of a line
        draw.text((x, y), words, fill=ink, font=font, anchor=anchor)
    return np.array(picture)
