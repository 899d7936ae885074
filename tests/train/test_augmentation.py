"""Changes of an image and its masks at once."""

import colorsys

import numpy as np
import pytest
from PIL import Image

from keras_sam.train.augmentation import (
    Augmentation,
    change_color,
    crop,
    flip,
    random_crop_box,
)

COLORLESS = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "gamma": 0.0}
IDENTITY = {"min_crop_scale": 1.0, "horizontal_flip": 0.0, **COLORLESS}


def marked_image(size=(30, 44)):
    """An image whose masks can be found in its pixels: mask p has the red value 50 (p + 1)."""
    masks = np.zeros((4, *size), bool)
    masks[0, 2:9, 3:7] = masks[1, 20:29, 30:40] = masks[2, 12, 1:] = True  # mask 3 is empty
    image = np.zeros((*size, 3), np.uint8)
    for index, mask in enumerate(masks):
        image[mask, 0] = 50 * (index + 1)
    return image, masks


def generators(count):
    return [np.random.default_rng(seed) for seed in range(count)]


@pytest.mark.parametrize("options", [{}, {"vertical_flip": 0.5, "quarter_turns": True}])
def test_image_and_masks_change_together(options):
    image, masks = marked_image()
    results = set()
    for rng in generators(40):
        changed, changed_masks = Augmentation(**{**options, **COLORLESS})(image, masks, rng)
        assert len(changed_masks) >= 1
        assert changed.dtype == np.uint8
        assert changed_masks.dtype == bool
        assert changed.flags.c_contiguous
        for mask in changed_masks:
            (red,) = set(changed[mask, 0].tolist())
            np.testing.assert_array_equal(mask, changed[..., 0] == red)
        results.add(changed.tobytes())
    assert len(results) > 30


def test_same_generator_gives_the_same_result():
    image, masks = marked_image()
    results = [Augmentation()(image, masks, np.random.default_rng(3)) for _ in range(2)]
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_zero_options_change_nothing():
    image, masks = marked_image()
    changed, changed_masks = Augmentation(**IDENTITY)(image, masks, np.random.default_rng(0))
    np.testing.assert_array_equal(changed, image)
    np.testing.assert_array_equal(changed_masks, masks)


@pytest.mark.parametrize(
    "options",
    [
        {"min_crop_scale": 0.5},
        {"horizontal_flip": 1.0},
        {"vertical_flip": 1.0},
        {"quarter_turns": True},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"gamma": 0.5},
    ],
)
def test_each_option_changes_the_image(options):
    image, masks = marked_image()
    augmentation = Augmentation(**{**IDENTITY, **options})
    results = [augmentation(image, masks, rng)[0] for rng in generators(5)]
    assert any(changed.shape != image.shape or (changed != image).any() for changed in results)


@pytest.mark.parametrize(
    "options",
    [{"min_crop_scale": 0}, {"horizontal_flip": 1.5}, {"gamma": 1}, {"brightness": float("nan")}],
)
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match="must be"):
        Augmentation(**options)


@pytest.mark.parametrize("scale", [0.1, 0.4, 0.9, 1.0])
def test_crop_contains_a_mask_or_a_part_of_a_large_one(scale):
    _, masks = marked_image()
    counts = np.zeros(4, int)
    for rng in generators(60):
        x0, y0, x1, y1 = random_crop_box(masks, scale, rng)
        assert (y1 - y0, x1 - x0) == (round(30 * scale), round(44 * scale))
        assert 0 <= x0 < x1 <= 44
        assert 0 <= y0 < y1 <= 30
        visible = masks[:, y0:y1, x0:x1].sum(axis=(1, 2))
        assert visible.any()
        counts += visible > 0
        if scale >= 0.4:
            is_whole = visible[:2] == masks[:2].sum(axis=(1, 2))
            assert is_whole.any() or visible[2]
    assert (counts[:3] > 10).all()


def test_crops_without_masks_are_anywhere():
    masks = np.zeros((0, 30, 44), bool)
    boxes = {random_crop_box(masks, 0.5, rng) for rng in generators(30)}
    assert len(boxes) > 20


def test_crop_drops_slivers_but_not_the_last_mask():
    image, masks = marked_image()
    parts = [mask.tolist() for mask in crop(image, masks, (0, 0, 5, 30))[1]]
    assert parts == [masks[0, :, :5].tolist()]  # 4 of 43 pixels of mask 2 are visible
    np.testing.assert_array_equal(crop(image, masks, (0, 10, 4, 20))[1], masks[2:3, 10:20, :4])
    assert crop(image, masks, (0, 29, 4, 30))[1].shape == (0, 1, 4)


def test_flip_moves_both():
    image, masks = marked_image()
    for horizontal in (False, True):
        for vertical in (False, True):
            changed = flip(image, masks, horizontal=horizontal, vertical=vertical)
            expected, expected_masks = image, masks
            if horizontal:
                expected, expected_masks = np.fliplr(expected), expected_masks[..., ::-1]
            if vertical:
                expected, expected_masks = np.flipud(expected), expected_masks[:, ::-1]
            np.testing.assert_array_equal(changed[0], expected)
            np.testing.assert_array_equal(changed[1], expected_masks)


def test_colors_equal_their_formulas():
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    np.testing.assert_array_equal(change_color(image), image)
    unit = image / 255
    for options, expected in (
        ({"brightness": 1.3}, unit * 1.3),
        ({"contrast": 0.6}, 0.5 + 0.6 * (unit - 0.5)),
        ({"gamma": 1.5}, unit**1.5),
        ({"gamma": 0.7, "brightness": 0.8, "contrast": 1.2}, 0.5 + 1.2 * (0.8 * unit**0.7 - 0.5)),
    ):
        changed = change_color(image, **options)
        np.testing.assert_allclose(changed, np.clip(expected, 0, 1) * 255, atol=0.5001)
    gray = change_color(image, saturation=0)
    np.testing.assert_array_equal(gray[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    less = change_color(image, saturation=0.5)
    assert colorsys.rgb_to_hls(*less[0, 0] / 255)[2] <= colorsys.rgb_to_hls(*unit[0, 0])[2]
