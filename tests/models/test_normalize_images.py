"""Normalization by ImageNet's statistics, compared with NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.models.normalize_images import check_image_shape, normalize_images

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SHAPE = (4, 6, 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((2, *SHAPE), dtype="float32")


def normalize(images, dtype="float32") -> np.ndarray:
    normalized = normalize_images(ops.convert_to_tensor(images), image_shape=SHAPE, dtype=dtype)
    return ops.convert_to_numpy(ops.cast(normalized, "float32"))


def test_each_channel_is_normalized(images):
    expected = (images.astype("float64") - MEAN) / STD
    np.testing.assert_allclose(normalize(images), expected, rtol=1e-5, atol=1e-6)


def test_integers_are_converted():
    ones = np.ones((1, *SHAPE), "int32")
    np.testing.assert_allclose(normalize(ones)[0, 0, 0], (1 - MEAN) / STD, rtol=1e-5)


def test_bfloat16_results_are_rounded_only_once():
    """Near the mean, subtraction in bfloat16 would lose most digits."""
    images = np.broadcast_to(MEAN + 0.001, (1, *SHAPE)).astype("float32")
    expected = (images.astype("float64") - MEAN) / STD
    np.testing.assert_allclose(normalize(images, "bfloat16"), expected, rtol=2**-7)


def test_images_of_another_shape_are_an_error(images):
    with pytest.raises(ValueError, match=r"shape \(B, 4, 6, 3\), got \(2, 4, 5, 3\)"):
        normalize(images[:, :, :5])


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((32, 32), "must be"),
        ((32, 32, 1), "must be"),
        ((None, None, 3), "must be"),
        ((32, 20, 3), "multiples of patch_size 16"),
        ((0, 32, 3), "multiples of patch_size 16"),
        ((-16, 32, 3), "multiples of patch_size 16"),
    ],
)
def test_an_invalid_image_shape_is_an_error(image_shape, message):
    with pytest.raises(ValueError, match=message):
        check_image_shape(image_shape, 16)


def test_whole_patches_are_valid():
    check_image_shape((16, 48, 3), 16)
    check_image_shape([32, 32, 3], 8)
