"""`draw_overlay`: masks, points and boxes on an image."""

import colorsys
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt

from keras_sam.masks.measures import mask_to_box
from keras_sam.types import Size

COLORS = (
    (30, 136, 229),
    (255, 160, 0),
    (216, 27, 96),
    (0, 172, 120),
    (142, 68, 220),
    (240, 80, 50),
    (0, 188, 212),
    (175, 200, 40),
    (255, 110, 180),
    (121, 85, 72),
)
FOREGROUND_COLOR, BACKGROUND_COLOR = (46, 184, 76), (229, 57, 53)
WHITE = (255, 255, 255)
FILL_OPACITY = 0.45


def draw_overlay(
    image: np.ndarray,
    masks: Any,
    *,
    points: Any = None,
    labels: Any = None,
    boxes: Any = None,
    scores: Any = None,
) -> np.ndarray:
    """Draw masks in distinct colors on an image, with their prompts.

    Smaller masks are drawn on top of larger ones.

    Args:
        image: RGB image `(H, W, 3)` uint8. It is not changed.
        masks: Boolean `(M, H, W)` or `(H, W)`. M may be 0.
        points: Prompt points `(N, 2)` (x, y) in pixels.
        labels: Point labels `(N,)`: 1 is drawn green, anything else red. Defaults to all 1.
        boxes: Prompt boxes `(K, 4)` XYXY in pixels, drawn in the colors of the masks.
        scores: Scores `(M,)` to write on the masks.

    Returns:
        A new image `(H, W, 3)` uint8.

    Raises:
        TypeError: If the image is not an array.
        ValueError: If an argument has the wrong shape, length or dtype.
    """
    check_image(image)
    masks = _check_masks(masks, image.shape[:2])
    points = _check_rows("points", [] if points is None else points, (2,))
    labels = np.ones(len(points)) if labels is None else labels
    labels = _check_rows("labels", labels, (), len(points))
    boxes = _check_rows("boxes", [] if boxes is None else boxes, (4,))
    canvas = image.astype(np.float32)
    unit = max(1.0, max(image.shape[:2]) / 500)  # line widths scale with the image
    areas = np.count_nonzero(masks, axis=(1, 2))
    for index in np.argsort(-areas, kind="stable").tolist():  # keeps nested masks visible
        _draw_mask(canvas, masks[index], mask_color(index), unit)
    for index, box in enumerate(boxes.tolist()):
        _draw_box(canvas, box, mask_color(index), unit)
    for point, label in zip(points.tolist(), labels, strict=True):
        color = FOREGROUND_COLOR if label == 1 else BACKGROUND_COLOR
        _draw_point(canvas, point, color, unit)
    overlay = to_uint8(canvas)
    if scores is None:
        return overlay
    scores = _check_rows("scores", scores, (), len(masks))
    return _write_scores(overlay, masks, scores.tolist(), unit)


def check_image(image: Any) -> None:
    """Check that an image is uint8 of shape `(H, W, 3)`.

    Raises:
        TypeError: If the image is not an array.
        ValueError: If the image has another shape or dtype.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be an array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            f"image must be uint8 of shape (H, W, 3), got {image.dtype} of shape {image.shape}"
        )


def _check_masks(masks: Any, size: Size) -> np.ndarray:
    try:
        masks = np.asarray(masks)
    except ValueError as error:
        raise ValueError("masks must all have the same size") from error
    if masks.shape == (0,):
        return np.zeros((0, *size), bool)
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.shape[1:] != size or masks.dtype.kind not in "biuf":
        raise ValueError(
            f"masks must be boolean of shape (M, {size[0]}, {size[1]}), "
            f"got {masks.dtype} of shape {masks.shape}"
        )
    return masks.astype(bool, copy=False)


def _check_rows(
    name: str, values: Any, row_shape: tuple[int, ...], count: int | None = None
) -> np.ndarray:
    """Convert values to float64 `(count, *row_shape)`, with any number of rows if count is None."""
    shape = str(("N" if count is None else count, *row_shape)).replace("'", "")
    expected = f"{name} must be finite numbers of shape {shape}"
    try:
        rows = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{expected}, got {reprlib.repr(values)}") from error
    if rows.shape == (0,):
        rows = np.zeros((0, *row_shape))
    if rows.dtype.kind not in "biuf" or not np.isfinite(rows).all():
        raise ValueError(f"{expected}, got {reprlib.repr(values)}")
    if not rows.ndim or rows.shape[1:] != row_shape or (count is not None and len(rows) != count):
        raise ValueError(f"{expected}, got shape {rows.shape}")
    return rows.astype(np.float64)


def mask_color(index: int) -> tuple[int, int, int]:
    """Return the RGB color for a mask index."""
    if index < len(COLORS):
        return COLORS[index]
    hue = index * 0.618034 % 1  # golden ratio: consecutive hues differ clearly
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.9)
    return int(255 * red), int(255 * green), int(255 * blue)


def _draw_mask(
    canvas: np.ndarray, mask: np.ndarray, color: tuple[int, int, int], unit: float
) -> None:
    """Fill a mask and draw its boundary, white outside and colored inside."""
    x0, y0, x1, y1 = mask_to_box(mask).astype(int)
    if x0 == x1:
        return
    margin = int(4 * unit) + 3
    region = (
        slice(max(0, y0 - margin), y1 + margin),
        slice(max(0, x0 - margin), x1 + margin),
    )
    depth = signed_distance(mask[region], margin)  # pixels, positive inside
    part = canvas[region]
    blend(part, color, FILL_OPACITY * np.clip(depth + 0.5, 0, 1))
    blend(part, WHITE, 0.85 * np.clip(1.7 * unit + 0.5 - np.abs(depth), 0, 1))
    blend(part, color, np.clip(0.9 * unit + 0.5 - np.abs(depth), 0, 1))


def signed_distance(mask: np.ndarray, limit: int) -> np.ndarray:
    """Return the smoothed distance to a mask's boundary.

    Beyond the array, the mask repeats its border pixels, so no boundary runs along the border.

    Args:
        mask: Boolean `(H, W)`.
        limit: Distance in pixels up to which the result is exact, apart from the smoothing.

    Returns:
        Distance `(H, W)` float32 in pixels, positive inside.
    """
    padded = np.pad(mask, limit, mode="edge")
    # SciPy needs a pixel outside to measure the distance to.
    inside = limit + 1.0 if padded.all() else distance_transform_edt(padded)
    outside = limit + 1.0 if not padded.any() else distance_transform_edt(~padded)
    depth: np.ndarray = np.where(padded, inside - 0.5, 0.5 - outside).astype(np.float32)
    for axis in (0, 1, 0, 1):  # smooths the pixel steps
        depth = (np.roll(depth, 1, axis) + 2 * depth + np.roll(depth, -1, axis)) / 4
    return depth[limit:-limit, limit:-limit]


def _draw_point(
    canvas: np.ndarray, point: Sequence[float], color: tuple[int, int, int], unit: float
) -> None:
    radius = 5.0 * unit
    region, x, y = _region(canvas, (*point, *point), radius + 3 * unit)
    distance = np.hypot(x - point[0], y - point[1])
    part = canvas[region]
    blend(part, (0, 0, 0), 0.35 * np.clip(radius + 2.6 * unit - distance, 0, 1))  # soft shadow
    blend(part, WHITE, np.clip(radius + 1.6 * unit + 0.5 - distance, 0, 1))
    blend(part, color, np.clip(radius + 0.5 - distance, 0, 1))


def _draw_box(
    canvas: np.ndarray, box: Sequence[float], color: tuple[int, int, int], unit: float
) -> None:
    x0, y0, x1, y1 = (float(value) for value in box)
    region, x, y = _region(canvas, (x0, y0, x1, y1), 3 * unit)
    # Signed distance to a rectangle: the larger overshoot inside, the corner distance outside.
    over_x = np.abs(x - (x0 + x1) / 2) - (x1 - x0) / 2
    over_y = np.abs(y - (y0 + y1) / 2) - (y1 - y0) / 2
    distance = np.abs(
        np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
        + np.minimum(np.maximum(over_x, over_y), 0)
    )
    part = canvas[region]
    blend(part, WHITE, 0.85 * np.clip(1.7 * unit + 0.5 - distance, 0, 1))
    blend(part, color, np.clip(0.9 * unit + 0.5 - distance, 0, 1))


def _region(
    canvas: np.ndarray, box: Sequence[float], margin: float
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Return the part of the canvas around a box, and its pixel centers `(1, w)` and `(h, 1)`."""
    height, width = canvas.shape[:2]
    left, right = (
        int(np.clip(value, 0, width)) for value in (box[0] - margin, box[2] + margin + 1)
    )
    top, bottom = (
        int(np.clip(value, 0, height)) for value in (box[1] - margin, box[3] + margin + 1)
    )
    x = np.arange(left, right, dtype=np.float32)[None] + 0.5
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    return (slice(top, bottom), slice(left, right)), x, y


def blend(part: np.ndarray, color: Any, opacity: np.ndarray) -> None:
    """Blend a color into a part of a canvas, in place.

    Args:
        part: Part of the canvas `(H, W, 3)` float32, values in [0, 255].
        color: RGB color `(3,)`, values in [0, 255].
        opacity: Opacity `(H, W)`, values in [0, 1].
    """
    part += opacity[..., None].astype(np.float32) * (np.array(color, np.float32) - part)


def to_uint8(canvas: np.ndarray) -> np.ndarray:
    """Round a canvas `(H, W, 3)` float32 to an image of the same shape, uint8."""
    image: np.ndarray = np.clip(np.round(canvas), 0, 255).astype(np.uint8)
    return image


def _write_scores(
    image: np.ndarray, masks: np.ndarray, scores: Sequence[float], unit: float
) -> np.ndarray:
    """Write each score on a plate in its mask's color, at the top of the mask."""
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=round(12 * unit))
    for index, (mask, score) in enumerate(zip(masks, scores, strict=True)):
        if not mask.any():
            continue
        y = int(np.argmax(mask.any(axis=1)))
        x = int(np.median(np.flatnonzero(mask[y])))
        text = f"{score:.2f}"
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        width, height = right - left + 8 * unit, bottom - top + 6 * unit
        x0 = np.clip(x - width / 2, 0, max(0, image.shape[1] - width))
        y0 = np.clip(y - height / 2, 0, max(0, image.shape[0] - height))
        plate = (x0, y0, x0 + width, y0 + height)
        draw.rounded_rectangle(plate, radius=4 * unit, fill=mask_color(index), outline=WHITE)
        draw.text((x0 + 4 * unit - left, y0 + 3 * unit - top), text, fill=WHITE, font=font)
    return np.array(canvas)
