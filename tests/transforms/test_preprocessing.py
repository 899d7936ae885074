"""Prepared images against plain loops, as the network gets them after its own normalization."""

import numpy as np
import pytest

from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import PIXEL_MEAN, PIXEL_STD, Preprocessing

MEDSAM = Preprocessing(resize="stretch", interpolation="bicubic", normalization="min_max")
UNIT = Preprocessing(normalization="unit")


def normalize_like_the_model(model_image):
    return (model_image.astype("float64") - PIXEL_MEAN) / PIXEL_STD


def bilinear(distances):
    return np.maximum(0, 1 - distances)


def bicubic(distances):
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
    return np.where(distances < 1, near, np.where(distances < 2, far, 0))


def resize_slowly(image, size, kernel):
    """Antialiased, pixel by pixel, columns and then rows, each rounded to whole levels."""
    for axis, new in ((1, size[1]), (0, size[0])):
        old = image.shape[axis]
        stretch = max(1.0, old / new)
        resized = []
        for index in range(new):
            center = (index + 0.5) * old / new
            weights = kernel(np.abs(np.arange(old) + 0.5 - center) / stretch)
            resized.append(np.tensordot(weights / weights.sum(), image, axes=(0, axis)))
        image = np.clip(np.round(np.stack(resized, axis=axis)), 0, 255)
    return image


@pytest.mark.parametrize("size", [(45, 80), (20, 13), (90, 17)])
@pytest.mark.parametrize("kernel", [bilinear, bicubic])
def test_resized_images_equal_plain_interpolation(size, kernel):
    # Far from 0 and 255: Pillow chooses the order of the two passes, which matters when clipping.
    image = np.random.default_rng(0).integers(40, 180, (*size, 3), dtype=np.uint8)
    resized = Preprocessing(interpolation=kernel.__name__).resize_image(image, (32, 24))
    assert (resized.shape, resized.dtype) == ((32, 24, 3), np.uint8)
    expected = resize_slowly(image.astype("float64"), (32, 24), kernel)
    np.testing.assert_allclose(resized, expected, atol=1)


def test_image_of_the_right_size_is_not_resampled():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for interpolation in ("bilinear", "bicubic"):
        resized = Preprocessing(interpolation=interpolation).resize_image(image, (9, 7))
        np.testing.assert_array_equal(resized, image)


@pytest.mark.parametrize("size", [(45, 80), (20, 13), (90, 17)])
def test_medsam_stretches_the_image_and_scales_its_values_to_0_and_1(size):
    image = np.random.default_rng(0).integers(40, 180, (*size, 3), dtype=np.uint8)
    transform = ImageTransform(size, (32, 24), MEDSAM)
    assert transform.input_size == (32, 24)
    resized = resize_slowly(image.astype("float64"), (32, 24), bicubic)
    expected = (resized - resized.min()) / (resized.max() - resized.min())
    model_image = transform.apply_image(image)
    assert model_image.shape == (32, 24, 3)
    assert model_image.dtype == np.float32
    normalized = normalize_like_the_model(model_image)
    assert (normalized.min(), normalized.max()) == pytest.approx((0, 1), abs=1e-6)
    np.testing.assert_allclose(normalized, expected, atol=2.5 / np.ptp(resized))


def test_medsam_image_of_the_models_size_is_only_scaled():
    image = np.random.default_rng(0).integers(40, 180, (8, 8, 3), dtype=np.uint8)
    normalized = normalize_like_the_model(ImageTransform((8, 8), (8, 8), MEDSAM).apply_image(image))
    expected = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(normalized, expected, atol=1e-6)


def test_min_max_of_a_constant_image_is_zero():
    image = np.full((9, 5, 3), 77, np.uint8)
    normalized = normalize_like_the_model(ImageTransform((9, 5), (8, 8), MEDSAM).apply_image(image))
    np.testing.assert_allclose(normalized, 0, atol=1e-6)


def test_unit_pixels_are_not_normalized():
    image = np.full((8, 8, 3), 51, np.uint8)
    normalized = normalize_like_the_model(ImageTransform((8, 8), (8, 8), UNIT).apply_image(image))
    np.testing.assert_allclose(normalized, 0.2, atol=1e-6)


def test_imagenet_pixels_are_in_0_to_1():
    pixels = np.array([[[0, 51, 255]]], np.uint8)
    values = Preprocessing().to_model_pixels(pixels)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [[[0, 0.2, 1]]], atol=1e-6)


@pytest.mark.parametrize("normalization", ["imagenet", "unit", "min_max"])
def test_padding_is_zero_after_normalization(normalization):
    transform = ImageTransform((8, 16), (32, 32), Preprocessing(normalization=normalization))
    image = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    normalized = normalize_like_the_model(transform.apply_image(image))
    np.testing.assert_allclose(normalized[16:], 0, atol=1e-6)
    assert np.abs(normalized[:16]).max() > 0.5


@pytest.mark.parametrize("field", ["resize", "interpolation", "normalization"])
@pytest.mark.parametrize("value", ["nearest", None, ["stretch"], 3])
def test_other_values_raise(field, value):
    with pytest.raises(ValueError, match=f"{field} must be one of"):
        Preprocessing(**{field: value})


def test_unknown_fields_raise():
    with pytest.raises(TypeError, match="upsample_in"):
        Preprocessing(upsample_in="logits")
