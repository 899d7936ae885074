"""`draw_overlay`: masks and prompts on their image, for people to look at."""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FILL = 0.45  # opacity of a mask
DIM = 0.72  # brightness of what no mask covers
POINT_COLOURS = {1: (46, 204, 113), 0: (231, 76, 60)}


def draw_overlay(
    image: np.ndarray,
    masks: np.ndarray,
    *,
    points: Sequence[Any] = (),
    labels: Sequence[int] = (),
    boxes: Sequence[Any] = (),
) -> np.ndarray:
    """Draws masks in distinct colours with outlines, and the prompts that gave them.

    Args:
        image: `(H, W, 3)` uint8.
        masks: `(N, H, W)` bool; later ones lie on top.
        points: clicks (x, y).
        labels: for each click 1 (drawn green) or 0 (red).
        boxes: XYXY.

    Returns:
        `(H, W, 3)` uint8.
    """
    height, width = image.shape[:2]
    unit = max(height, width) / 400  # a line's width grows with the picture
    covered = masks.any(axis=0) if len(masks) else np.zeros((height, width), bool)
    picture = image.astype(np.float32)
    picture *= np.where(covered, 1.0, DIM)[..., None]
    for index, mask in enumerate(masks):
        colour = np.array(_colour(index), np.float32)
        picture[mask] = (1 - FILL) * picture[mask] + FILL * colour
    for index, mask in enumerate(masks):
        picture = _blend(picture, _edge(mask, 3.2 * unit), (255, 255, 255), 0.7)
        picture = _blend(picture, _edge(mask, 1.6 * unit), _colour(index), 1.0)
    drawn = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return np.asarray(_draw_prompts(drawn, points, labels, boxes, unit))


def _draw_prompts(
    picture: Image.Image, points: Sequence[Any], labels: Sequence[int], boxes: Any, unit: float
) -> Image.Image:
    """Boxes and clicks, drawn three times as large and scaled down, so that edges are smooth."""
    scale = 3
    layer = Image.new("RGBA", (picture.width * scale, picture.height * scale))
    draw = ImageDraw.Draw(layer)
    line = max(2, int(1.5 * unit * scale))
    for box in boxes:
        corners = [float(value) * scale for value in box]
        draw.rectangle(corners, outline=(0, 0, 0, 150), width=2 * line)
        draw.rectangle(corners, outline=(255, 255, 255, 255), width=line)
    for (x, y), label in zip(points, labels, strict=True):
        for radius, colour in ((5.5, (255, 255, 255)), (4.0, POINT_COLOURS[int(label)])):
            reach = radius * unit * scale
            centre_x, centre_y = x * scale, y * scale
            draw.ellipse(
                (centre_x - reach, centre_y - reach, centre_x + reach, centre_y + reach),
                fill=(*colour, 255),
            )
    layer = layer.resize(picture.size, Image.Resampling.BOX)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _edge(mask: np.ndarray, thickness: float) -> np.ndarray:
    """Opacity 0..1 of a soft line along a mask's border."""
    blurred = Image.fromarray(mask.astype(np.uint8) * 255).filter(
        ImageFilter.GaussianBlur(thickness / 2)
    )
    share = np.asarray(blurred, np.float32) / 255.0
    return np.clip(1.6 - np.abs(share - 0.5) * 5.0, 0.0, 1.0)


def _blend(
    picture: np.ndarray, opacity: np.ndarray, colour: tuple[int, int, int], strength: float
) -> np.ndarray:
    opacity = strength * opacity[..., None]
    return picture * (1 - opacity) + np.array(colour, np.float32) * opacity


def _colour(index: int) -> tuple[int, int, int]:
    """Colours whose hues lie a golden angle apart, from blue."""
    hue = (0.58 + index * 0.381966) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.78, 0.98)
    return int(255 * red), int(255 * green), int(255 * blue)
