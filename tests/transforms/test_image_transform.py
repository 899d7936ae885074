"""The model frame against the rule of interpolation written plainly, and against PyTorch."""

import numpy as np
import pytest

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing


def resize_plainly(values, size):
    """Bilinear between pixel centers, pixel by pixel."""
    out = np.zeros(size)
    for row in range(size[0]):
        for column in range(size[1]):
            places = [
                min(max((at + 0.5) * old / new - 0.5, 0), old - 1)
                for at, old, new in zip((row, column), values.shape, size, strict=True)
            ]
            low = [int(place) for place in places]
            high = [min(at + 1, old - 1) for at, old in zip(low, values.shape, strict=True)]
            y, x = places[0] - low[0], places[1] - low[1]
            out[row, column] = (1 - y) * (
                (1 - x) * values[low[0], low[1]] + x * values[low[0], high[1]]
            ) + y * ((1 - x) * values[high[0], low[1]] + x * values[high[0], high[1]])
    return out


@pytest.mark.parametrize("original", [(13, 21), (40, 9), (16, 16)])
def test_logits_take_the_two_resizes(original):
    frame = ImageTransform(original, (16, 16))
    logits = np.random.default_rng(0).normal(size=(4, 4))
    height, width = frame.input_size
    expected = resize_plainly(resize_plainly(logits, (16, 16))[:height, :width], original)
    np.testing.assert_allclose(frame.postprocess_logits(logits), expected, atol=1e-5)
    masks = frame.postprocess_masks(np.stack([logits, -logits]))
    np.testing.assert_array_equal(masks[0], frame.postprocess_logits(logits) > 0)


@pytest.mark.parametrize(
    "original", [(13, 21), (150, 97), (64, 64), (1, 90), (300, 3), (200, 260), (1999, 1333)]
)
def test_the_way_back_is_metas(original):
    """Meta's `postprocess_masks`, word for word."""
    import torch

    frame = ImageTransform(original, (64, 64))
    logits = np.random.default_rng(1).normal(size=(2, 3, 16, 16), scale=8).astype(np.float32)

    def interpolate(values, size):
        return torch.nn.functional.interpolate(values, size, mode="bilinear", align_corners=False)

    height, width = frame.input_size
    expected = interpolate(torch.from_numpy(logits), frame.image_size)[..., :height, :width]
    expected = interpolate(expected, frame.original_size).numpy()
    found = frame.postprocess_logits(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)
    masks = frame.postprocess_masks(logits, threshold=0.5)
    assert masks.dtype == bool
    clear = np.abs(expected - 0.5) > 2e-5
    np.testing.assert_array_equal(masks[clear], (expected > 0.5)[clear])


def test_low_res_logits_of_any_sides():
    frame = ImageTransform((30, 20), (32, 16))
    logits = np.random.default_rng(0).normal(size=(8, 4))
    expected = resize_plainly(
        resize_plainly(logits, (32, 16))[: frame.input_size[0], : frame.input_size[1]], (30, 20)
    )
    np.testing.assert_allclose(frame.postprocess_logits(logits), expected, atol=1e-5)


def test_no_mask_stays_none():
    frame = ImageTransform((30, 20), (16, 16))
    assert frame.postprocess_logits(np.zeros((0, 4, 4))).shape == (0, 30, 20)
    assert frame.postprocess_masks(np.zeros((0, 4, 4))).shape == (0, 30, 20)


@pytest.mark.parametrize(
    "size", [None, 5, (4,), (4, 5, 3), (4.5, 5), ("4", "5"), (0, 5), (True, 5)]
)
def test_wrong_sizes_are_refused(size):
    for sizes in ((size, (16, 16)), ((16, 16), size)):
        with pytest.raises(ValueError, match="must be \\(height, width\\)"):
            ImageTransform(*sizes)


def test_wrong_arrays_are_refused():
    frame = ImageTransform((8, 16), (32, 32))
    with pytest.raises(TypeError, match="image must be an array"):
        frame.apply_image(None)
    for image in (np.zeros((8, 16), np.uint8), np.zeros((8, 16, 3))):
        with pytest.raises(ValueError, match="expected a uint8 image"):
            frame.apply_image(image)
    for logits in (np.zeros(4), np.zeros((0, 4)), 5, None):
        for way_back in (frame.postprocess_logits, frame.postprocess_masks):
            with pytest.raises(ValueError, match="low_res_logits"):
                way_back(logits)


def test_longest_side_rule():
    assert ImageTransform((321, 481), (1024, 1024)).input_size == (683, 1024)
    assert ImageTransform((1, 3000), (64, 64)).input_size == (1, 64)


def test_image_is_padded_with_the_mean_color():
    image = np.full((8, 16, 3), 51, np.uint8)
    model_image = ImageTransform((8, 16), (32, 32)).apply_image(image)
    np.testing.assert_allclose(model_image[:16], 0.2, atol=1e-6)
    np.testing.assert_allclose(
        model_image[16:], np.broadcast_to([0.485, 0.456, 0.406], (16, 32, 3))
    )


def test_points_go_there_and_back():
    frame = ImageTransform((45, 80), (64, 64))
    points = np.array([[3.5, 4.0], [80, 45]])
    np.testing.assert_allclose(frame.apply_points(points), points * 0.8, rtol=1e-6)
    np.testing.assert_allclose(frame.invert_points(points * 0.8), points, rtol=1e-6)


BOXES = np.array([[2.5, 3.0, 9.0, 8.2], [np.nan] * 4])


@pytest.mark.parametrize("box_masks", ["free", "inside", "fitted"])
def test_masks_of_a_box_end_at_it_where_the_model_says_so(box_masks):
    frame = ImageTransform((13, 21), (16, 16), Preprocessing(box_masks=box_masks))
    low_res = np.random.default_rng(2).normal(size=(2, 3, 4, 4), scale=8)
    free = frame.postprocess_logits(low_res)
    y, x = np.mgrid[:13, :21]
    outside = np.zeros(free.shape, bool)
    if box_masks != "free":  # the pixels that the first box does not touch
        outside[0] = ~((x >= 2) & (x < 9) & (y >= 3) & (y < 9))
    expected = np.where(outside, np.minimum(free, -16), free)
    np.testing.assert_array_equal(frame.postprocess_logits(low_res, boxes=BOXES), expected)
    found = frame.postprocess_masks(low_res, boxes=BOXES)
    np.testing.assert_array_equal(found, (free > 0) & ~outside)


@pytest.mark.parametrize("original", [(13, 21), (150, 97), (64, 64), (200, 260)])
@pytest.mark.parametrize("resize", ["longest_side", "stretch"])
def test_logits_of_the_original_become_a_mask_input(original, resize):
    frame = ImageTransform(original, (64, 64), Preprocessing(resize=resize))
    y, x = np.mgrid[:16, :16]
    low_res = np.stack([8 - ((y - 6) ** 2 + (x - 5) ** 2) / 10, x - y]).astype(np.float32)
    back = frame.to_low_res_logits(frame.postprocess_logits(low_res), (16, 16))
    assert back.shape == (2, 16, 16)
    rows, columns = (side // 4 for side in frame.input_size)
    inner = back[:, 1 : rows - 1, 1 : columns - 1], low_res[:, 1 : rows - 1, 1 : columns - 1]
    np.testing.assert_allclose(*inner, atol=0.35)
    assert (back[:, -(-frame.input_size[0] // 4) :] == -16).all()
    assert (back[..., -(-frame.input_size[1] // 4) :] == -16).all()
