"""Frames that are larger than the model's."""

import numpy as np
import pytest
from keras import ops

from keras_sam.export.frame import frame_of
from keras_sam.transforms.image_transform import ImageTransform


def test_frame_of_the_model_changes_nothing(segmenter):
    frame = frame_of(segmenter, None)
    assert (frame.side, frame.low_res_side, frame.factor) == (64, 32, 1)
    masks = np.random.default_rng(0).normal(size=(1, 4, 32, 32)).astype("float32")
    assert frame.grow_masks(masks) is masks
    assert frame.shrink_points(masks) is masks


def test_larger_frame_averages_pixels_and_upsamples_masks(segmenter):
    frame = frame_of(segmenter, 128)
    # The patches of 8 pixels give masks of 32 pixels, as Meta's models have in this frame.
    assert (frame.side, frame.low_res_side, frame.factor) == (128, 32, 2)
    random = np.random.default_rng(0)
    image = random.normal(size=(1, 128, 128, 3)).astype("float32")
    mean = image.reshape(1, 64, 2, 64, 2, 3).mean((2, 4))
    np.testing.assert_allclose(
        ops.convert_to_numpy(frame.shrink_images(ops.convert_to_tensor(image))), mean, atol=1e-6
    )
    frame = frame_of(segmenter, 256)
    assert (frame.low_res_side, frame.factor, frame.mask_factor) == (64, 4, 2)
    masks = random.normal(size=(1, 4, 32, 32)).astype("float32")
    expected = ImageTransform((64, 64), (64, 64)).postprocess_logits(masks)
    grown = ops.convert_to_numpy(frame.grow_masks(ops.convert_to_tensor(masks)))
    np.testing.assert_allclose(grown, expected, atol=1e-5)
    # The center of a block of 4 x 4 pixels is that of one pixel of the model.
    points = np.array([[1.5, 5.5]], "float32")
    np.testing.assert_allclose(frame.shrink_points(points), [[0, 1]])


@pytest.mark.parametrize("side", [32, 100])
def test_other_sides_raise(segmenter, side):
    with pytest.raises(ValueError, match=f"multiple of the model's image size 64, got {side}"):
        frame_of(segmenter, side)


def test_images_that_are_not_square_raise(tiny_segmenter):
    model = tiny_segmenter(0, image_shape=(64, 32, 3))
    with pytest.raises(ValueError, match=r"need square images, got image_shape \(64, 32\)"):
        frame_of(model, None)
