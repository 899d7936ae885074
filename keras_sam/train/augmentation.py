"""`Augmentation`: random flips, turns, crops and colors of an image and its masks."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from keras_sam.masks.measures import mask_to_box
from keras_sam.types import Box

MIN_VISIBLE = 0.1  # share of a mask that a crop must contain, so that slivers are no targets
GRAY = 127.5


@dataclass(frozen=True)
class Augmentation:
    """Random changes to an image and its masks, applied in the order of the attributes.

    The defaults suit photographs. Images without an upright direction, such as from a microscope
    or a satellite, need `vertical_flip=0.5` and `quarter_turns=True` as well.

    Attributes:
        min_crop_scale: Minimum share of each side that a random crop keeps, in (0, 1]. The crop
            contains at least a part of one mask. 1 never crops.
        horizontal_flip: Probability of a flip from left to right, in [0, 1].
        vertical_flip: Probability of a flip from top to bottom, in [0, 1].
        quarter_turns: If True, turns by 0, 90, 180 or 270 degrees, all equally likely.
        brightness: Maximum relative change of the pixels, in [0, 1].
        contrast: Maximum relative change of the pixels' distance from gray, in [0, 1].
        saturation: Maximum relative change of the color, in [0, 1].
        gamma: Maximum relative change of the exponent of the pixels, in [0, 1).

    Raises:
        ValueError: If an attribute is out of range.
    """

    min_crop_scale: float = 0.5
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.0
    quarter_turns: bool = False
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    gamma: float = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}")
        if self.min_crop_scale == 0 or self.gamma == 1:
            raise ValueError("min_crop_scale must be above 0, and gamma below 1")

    def __call__(
        self, image: np.ndarray, masks: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change an image and its masks.

        Args:
            image: Image `(H, W, 3)`, uint8 RGB.
            masks: Masks `(P, H, W)`, bool.
            rng: Source of all random numbers.

        Returns:
            Image `(H', W', 3)`, uint8, and masks `(P', H', W')`, bool. Masks of which a crop
            contains less than a tenth are dropped, and so are empty masks.
        """
        if self.min_crop_scale < 1:
            box = random_crop_box(masks, rng.uniform(self.min_crop_scale, 1), rng)
            image, masks = crop(image, masks, box)
        is_flipped = rng.random() < self.horizontal_flip, rng.random() < self.vertical_flip
        image, masks = flip(image, masks, horizontal=is_flipped[0], vertical=is_flipped[1])
        if self.quarter_turns:
            turns = int(rng.integers(4))
            image, masks = np.rot90(image, turns), np.rot90(masks, turns, axes=(1, 2))
        brightness, contrast, saturation, gamma = (
            1 + limit * rng.uniform(-1, 1)
            for limit in (self.brightness, self.contrast, self.saturation, self.gamma)
        )
        image = change_color(
            image, brightness=brightness, contrast=contrast, saturation=saturation, gamma=gamma
        )
        return np.ascontiguousarray(image), np.ascontiguousarray(masks)


def random_crop_box(masks: np.ndarray, scale: float, rng: np.random.Generator) -> Box:
    """Choose a random XYXY box with the aspect ratio of the image.

    The box contains a random mask, all of which are equally likely. If the mask is larger than
    the box, it contains a random pixel of the mask.

    Args:
        masks: Masks `(P, H, W)`, bool.
        scale: Ratio of the box's sides to those of the image, in (0, 1].
        rng: Source of random numbers.
    """
    height, width = masks.shape[1:]
    sides = max(1, round(height * scale)), max(1, round(width * scale))
    present = np.flatnonzero(masks.any(axis=(1, 2)))
    first, last = [0, 0], [height - sides[0], width - sides[1]]  # positions of the box
    if len(present):
        mask = masks[rng.choice(present)]
        x0, y0, x1, y1 = (int(side) for side in mask_to_box(mask))
        y, x = divmod(int(rng.choice(np.flatnonzero(mask))), width)
        for axis, (start, end, pixel) in enumerate(((y0, y1, y), (x0, x1, x))):
            if end - start > sides[axis]:
                start, end = pixel, pixel + 1
            first[axis] = max(0, end - sides[axis])
            last[axis] = min(last[axis], start)
    top, left = (int(rng.integers(a, b + 1)) for a, b in zip(first, last, strict=True))
    return left, top, left + sides[1], top + sides[0]


def crop(image: np.ndarray, masks: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Crop an image `(H, W, 3)` and its masks `(P, H, W)`, and drop masks that are hardly visible.

    If less than a tenth of each mask is visible, the mask with the largest visible area is kept.
    Empty masks are dropped.
    """
    x0, y0, x1, y1 = box
    parts = masks[:, y0:y1, x0:x1]
    visible, areas = (array.sum(axis=(1, 2)) for array in (parts, masks))
    is_kept = (visible > 0) & (visible >= MIN_VISIBLE * areas)
    if visible.any() and not is_kept.any():
        is_kept[visible.argmax()] = True
    return image[y0:y1, x0:x1], parts[is_kept]


def flip(
    image: np.ndarray, masks: np.ndarray, *, horizontal: bool, vertical: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Flip an image `(H, W, 3)` and its masks `(P, H, W)` from left to right, or upside down."""
    rows = slice(None, None, -1 if vertical else 1)
    columns = slice(None, None, -1 if horizontal else 1)
    return image[rows, columns], masks[:, rows, columns]


def change_color(
    image: np.ndarray,
    *,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    gamma: float = 1.0,
) -> np.ndarray:
    """Change the colors of an image.

    Args:
        image: Image `(H, W, 3)`, uint8 RGB.
        brightness: Factor of the pixels.
        contrast: Factor of the pixels' distance from gray.
        saturation: Factor of the distance from the gray image. 0 is gray.
        gamma: Exponent of the pixels in [0, 1].

    Returns:
        Image `(H, W, 3)`, uint8 RGB.
    """
    values = 255 * (np.arange(256) / 255) ** gamma * brightness
    values = np.clip(GRAY + contrast * (values - GRAY), 0, 255)
    changed = np.round(values).astype(np.uint8)[image]
    if saturation == 1:
        return changed
    return np.array(ImageEnhance.Color(Image.fromarray(changed)).enhance(saturation))
