"""MedSAM's way to the model and back against the rules written plainly, and against PyTorch."""

import numpy as np
import pytest

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import MEDSAM, PIXEL_MEAN, PIXEL_STD, SAM, Preprocessing

UNIT = Preprocessing(normalization="unit")


def seen_by_the_network(model_image):
    return (model_image.astype("float64") - PIXEL_MEAN) / PIXEL_STD


def resize_plainly(image, size):
    """Antialiased bicubic, pixel by pixel, columns and then rows, each rounded to whole levels."""
    for axis, new in ((1, size[1]), (0, size[0])):
        old = image.shape[axis]
        stretch = max(1.0, old / new)
        resized = []
        for at in range(new):
            center = (at + 0.5) * old / new
            distances = np.abs(np.arange(old) + 0.5 - center) / stretch
            near = 1.5 * distances**3 - 2.5 * distances**2 + 1
            far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
            weights = np.where(distances < 1, near, np.where(distances < 2, far, 0))
            resized.append(np.tensordot(weights / weights.sum(), image, axes=(0, axis)))
        image = np.clip(np.round(np.stack(resized, axis=axis)), 0, 255)
    return image


@pytest.mark.parametrize("size", [(45, 80), (20, 13), (90, 17)])
def test_medsam_sees_the_stretched_image_from_its_least_to_its_greatest_value(size):
    image = np.random.default_rng(0).integers(40, 180, (*size, 3), dtype=np.uint8)
    frame = ImageTransform(size, (32, 24), MEDSAM)
    assert frame.input_size == (32, 24)
    resized = resize_plainly(image.astype("float64"), (32, 24))
    expected = (resized - resized.min()) / (resized.max() - resized.min())
    found = frame.apply_image(image)
    assert found.shape == (32, 24, 3)
    assert found.dtype == np.float32
    seen = seen_by_the_network(found)
    assert (seen.min(), seen.max()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(seen, expected, atol=2.5 / np.ptp(resized))


def test_an_image_of_the_models_size_is_taken_as_it_is():
    image = np.random.default_rng(0).integers(40, 180, (8, 8, 3), dtype=np.uint8)
    seen = seen_by_the_network(ImageTransform((8, 8), (8, 8), MEDSAM).apply_image(image))
    expected = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_an_image_of_one_color_is_black_to_medsam():
    image = np.full((9, 5, 3), 77, np.uint8)
    seen = seen_by_the_network(ImageTransform((9, 5), (8, 8), MEDSAM).apply_image(image))
    np.testing.assert_allclose(seen, 0, atol=1e-6)


@pytest.mark.parametrize("preprocessing", [SAM, UNIT, Preprocessing(normalization="min_max")])
def test_padding_is_zero_to_the_network(preprocessing):
    frame = ImageTransform((8, 16), (32, 32), preprocessing)
    image = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    seen = seen_by_the_network(frame.apply_image(image))
    np.testing.assert_allclose(seen[16:], 0, atol=1e-6)
    assert np.abs(seen[:16]).max() > 0.5


def test_unit_pixels_are_not_normalized():
    image = np.full((8, 8, 3), 51, np.uint8)
    seen = seen_by_the_network(ImageTransform((8, 8), (8, 8), UNIT).apply_image(image))
    np.testing.assert_allclose(seen, 0.2, atol=1e-6)


def test_points_and_boxes_are_scaled_by_axis():
    frame = ImageTransform((50, 200), (100, 100), MEDSAM)
    np.testing.assert_allclose(frame.apply_points([[20, 10]]), [[10, 20]])
    np.testing.assert_allclose(frame.apply_boxes([20, 10, 200, 50]), [10, 20, 100, 100])
    np.testing.assert_allclose(frame.invert_boxes([10, 20, 100, 100]), [20, 10, 200, 50])


@pytest.mark.parametrize("original", [(13, 21), (150, 97), (64, 64), (1, 90), (200, 260)])
def test_the_way_back_is_medsams(original):
    """Probabilities are interpolated to the original's size at once, and cut at one half."""
    import torch

    frame = ImageTransform(original, (64, 64), MEDSAM)
    logits = np.random.default_rng(1).normal(size=(2, 3, 16, 16), scale=8).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.sigmoid(torch.from_numpy(logits)), original, mode="bilinear", align_corners=False
    ).numpy()
    found = frame.postprocess_logits(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(1 / (1 + np.exp(-found.astype("float64"))), expected, atol=1e-6)
    for threshold, share in ((0.0, 0.5), (1.0, 1 / (1 + np.exp(-1)))):
        masks = frame.postprocess_masks(logits, threshold=threshold)
        clear = np.abs(expected - share) > 1e-6
        np.testing.assert_array_equal(masks[clear], (expected > share)[clear])
        np.testing.assert_array_equal(masks[clear], (found > threshold)[clear])


def test_logits_of_a_stretched_image_go_back_at_once():
    import torch

    logits = np.random.default_rng(1).normal(size=(1, 2, 8, 8)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(logits), (30, 20), mode="bilinear", align_corners=False
    )
    frame = ImageTransform((30, 20), (32, 32), Preprocessing(resize="stretch"))
    np.testing.assert_allclose(frame.postprocess_logits(logits), expected, atol=1e-5)


def test_certain_logits_stay_finite():
    logits = np.array([[-1e30, 1e30], [-200, 200]], np.float32)
    found = ImageTransform((4, 4), (8, 8), MEDSAM).postprocess_logits(logits)
    assert np.isfinite(found).all()
    assert (found.min(), found.max()) == pytest.approx((-16.6, 16.6), abs=0.1)


@pytest.mark.parametrize(
    "field", ["resize", "interpolation", "normalization", "upscaled", "unknown"]
)
def test_other_values_are_refused(field):
    for value in ("nearest", None, ["stretch"], 3):
        with pytest.raises((ValueError, TypeError), match=field):
            Preprocessing(**{field: value})


def test_masks_are_rated_by_the_model_and_by_their_support():
    rated = Preprocessing(outlines="image", ratings=[0.5, 1, -0.25])
    assert rated.ratings == (0.5, 1.0, -0.25)
    assert rated.rating(0.5, 0.75) == 0.75
    assert rated.rating(0.9, 1.0) == 1.0
    assert rated.rating(-1.0, 0.5) == 0.0
    assert rated.rating(0.3, None) == 0.3
    assert Preprocessing(outlines="image").rating(0.3, 0.9) == 0.3


@pytest.mark.parametrize("value", ["model", (1, 2), (1, 2, "3"), (1, 2, np.nan), (True, 0, 0), 3])
def test_other_ratings_are_refused(value):
    with pytest.raises(ValueError, match="ratings must be None or three numbers"):
        Preprocessing(outlines="image", ratings=value)


def test_ratings_of_outlines_that_do_not_move_are_refused():
    with pytest.raises(ValueError, match='ratings need outlines="image"'):
        Preprocessing(ratings=(1, 0, 0))


def test_a_frame_takes_a_preprocessing_alone():
    with pytest.raises(TypeError, match="must be a Preprocessing, got 'medsam'"):
        ImageTransform((4, 4), (8, 8), "medsam")
