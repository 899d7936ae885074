"""Overlays: colors, order, prompts, and unchanged pixels."""

import numpy as np
import pytest

from keras_sam.drawing.overlay import (
    BACKGROUND_COLOR,
    COLORS,
    FILL_OPACITY,
    FOREGROUND_COLOR,
    draw_overlay,
    signed_distance,
)

SIZE = (40, 60)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
IMAGE.flags.writeable = False


def rectangle(y0, y1, x0, x1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    mask.flags.writeable = False
    return mask


def test_mask_is_tinted_and_distant_pixels_are_unchanged():
    overlay = draw_overlay(IMAGE, rectangle(8, 32, 5, 35))
    tinted = IMAGE[20, 20] + FILL_OPACITY * (np.array(COLORS[0]) - IMAGE[20, 20])
    np.testing.assert_allclose(overlay[20, 20], tinted, atol=1)
    np.testing.assert_array_equal(overlay[:, 45:], IMAGE[:, 45:])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_smaller_mask_is_on_top(order):
    large, small = rectangle(0, 40, 0, 60), rectangle(10, 30, 20, 40)
    empty = np.zeros_like(large)
    masks = np.stack([(large, small)[index] for index in order])
    below = np.stack([large if index == 0 else empty for index in order])
    above = np.stack([small if index == 1 else empty for index in order])
    expected = draw_overlay(draw_overlay(IMAGE, below), above)
    assert np.abs(draw_overlay(IMAGE, masks).astype(int) - expected).max() <= 1


def test_points_and_boxes_have_their_colors():
    overlay = draw_overlay(
        IMAGE, [], points=[[10, 20], [30, 20]], labels=[1, 0], boxes=[[40, 5, 55, 35]]
    )
    np.testing.assert_array_equal(overlay[20, 10], FOREGROUND_COLOR)
    np.testing.assert_array_equal(overlay[20, 30], BACKGROUND_COLOR)
    assert np.abs(overlay[20, 39:41].astype(int) - COLORS[0]).max() < 40
    np.testing.assert_array_equal(overlay[20, 47], IMAGE[20, 47])
    np.testing.assert_array_equal(
        draw_overlay(IMAGE, [], points=[[10, 20]])[20, 10], overlay[20, 10]
    )


def test_scores_are_written_on_the_masks():
    masks = np.stack([rectangle(20, 36, 10, 30), rectangle(0, 0, 0, 0)])
    without, with_scores = (
        draw_overlay(IMAGE, masks),
        draw_overlay(IMAGE, masks, scores=(0.91, 0.5)),
    )
    changed = (without != with_scores).any(axis=2)
    assert changed[12:28, 5:40].sum() > 50
    assert not changed[30:].any()


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize(
    "masks",
    [
        [],
        np.zeros((0, *SIZE), bool),
        rectangle(0, 0, 0, 0),
        rectangle(0, 40, 0, 60),
        rectangle(0, 1, 0, 1),
        np.stack([rectangle(39, 40, 59, 60), rectangle(20, 21, 30, 31)]),
    ],
    ids=["none", "no rows", "empty", "full", "corner pixel", "two pixels"],
)
def test_inputs_are_unchanged(masks, scores):
    before, count = IMAGE.copy(), 1 if np.ndim(masks) == 2 else len(masks)
    if isinstance(masks, np.ndarray):
        masks = masks.copy()
        masks.flags.writeable = False
    overlay = draw_overlay(IMAGE, masks, scores=np.full(count, 0.5) if scores else None)
    assert (overlay.shape, overlay.dtype) == (IMAGE.shape, np.uint8)
    assert overlay.flags.writeable
    assert not np.shares_memory(overlay, IMAGE)
    np.testing.assert_array_equal(IMAGE, before)
    assert (overlay != IMAGE).any() == bool(np.any(masks))


def test_no_line_along_the_image_border():
    overlay = draw_overlay(np.zeros((20, 30, 3), np.uint8), np.arange(30) < np.full((20, 1), 12))
    np.testing.assert_array_equal(overlay, np.broadcast_to(overlay[10], overlay.shape))


def test_signed_distance_of_a_half_plane_is_linear():
    x = np.arange(20)
    mask = np.broadcast_to(x < 9, (6, 20))
    depth = signed_distance(mask, 20)
    np.testing.assert_allclose(depth[:, 2:-2], np.broadcast_to(8.5 - x, (6, 20))[:, 2:-2])
    np.testing.assert_allclose(signed_distance(~mask, 20), -depth)


@pytest.mark.parametrize("value", [True, False])
def test_signed_distance_without_a_boundary_is_large(value):
    depth = signed_distance(np.full((3, 4), value), 7)
    assert depth.shape == (3, 4)
    assert (np.abs(depth) >= 7).all()
    assert ((depth > 0) == value).all()


def test_image_with_one_pixel():
    pixel = np.ones((1, 1, 3), np.uint8)
    overlay = draw_overlay(
        pixel, np.ones((1, 1)), scores=[1], points=[[0, 0]], boxes=[[0, 0, 1, 1]]
    )
    assert overlay.shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"image": None}, TypeError, "image"),
        ({"image": [[1, 2, 3]]}, TypeError, "image"),
        ({"image": IMAGE[..., 0]}, ValueError, "image"),
        ({"image": IMAGE.astype(float)}, ValueError, "image"),
        ({"masks": None}, ValueError, "masks"),
        ({"masks": np.zeros((2, 2))}, ValueError, "masks"),
        ({"masks": [[1, 2], [3]]}, ValueError, "masks"),
        ({"masks": np.full(SIZE, "a")}, ValueError, "masks"),
        ({"points": 5}, ValueError, "points"),
        ({"points": [[1]]}, ValueError, "points"),
        ({"points": [[np.nan, 1]]}, ValueError, "points"),
        ({"points": [[1, 1]], "labels": [1, 0]}, ValueError, "labels"),
        ({"points": [[1, 1]], "labels": [None]}, ValueError, "labels"),
        ({"boxes": [1, 2, 3, 4]}, ValueError, "boxes"),
        ({"boxes": [[1, 2, 3, np.inf]]}, ValueError, "boxes"),
        ({"scores": 0.5}, ValueError, "scores"),
        ({"scores": [0.5, 0.5]}, ValueError, "scores"),
        ({"scores": ["a"]}, ValueError, "scores"),
    ],
)
def test_wrong_arguments_raise(given, error, message):
    arguments = {"image": IMAGE, "masks": rectangle(0, 5, 0, 5)} | given
    with pytest.raises(error, match=message):
        draw_overlay(**arguments)
