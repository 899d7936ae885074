"""Raw images to the inputs of an image encoder."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_sam.models.sam_image_converter import (
    SAMImageConverter,
    images_to_list,
    size_of_images,
)

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prepared_by_pillow(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image resized to `(height, width)`, padded to 32 x 48 with ImageNet's mean."""
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    padded = np.tile(MEAN, (32, 48, 1))
    padded[:height, :width] = np.asarray(resized) / 255
    return padded


@pytest.fixture(scope="module")
def converter() -> SAMImageConverter:
    return SAMImageConverter((32, 48))


@pytest.mark.parametrize(
    ("size", "resized_size"),
    [((32, 48), (32, 48)), ((64, 64), (32, 32)), ((10, 40), (12, 48)), ((64, 33), (32, 17))],
)
def test_an_image_is_resized_by_pillow_and_padded(converter, size, resized_size):
    image = random_image(*size)
    found = converter(image)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, prepared_by_pillow(image, *resized_size), atol=1e-6)


def test_batches_and_lists_equal_single_images(converter):
    images = [random_image(20, 30), random_image(50, 20)]
    expected = np.stack([converter(image) for image in images])
    np.testing.assert_array_equal(converter(images), expected)
    np.testing.assert_array_equal(converter(tuple(images)), expected)
    batch = np.stack([images[0], images[0][::-1]])
    expected = np.stack([converter(image) for image in batch])
    np.testing.assert_array_equal(converter(batch), expected)


def test_tensors_and_other_dtypes_equal_uint8(converter):
    image = random_image(20, 30)
    expected = converter(image)
    for same in (
        image.astype("float32"),
        np.clip(image + 0.4, 0, 255),
        image.astype("int64"),
        keras.ops.convert_to_tensor(image),
        keras.ops.convert_to_tensor(image, "float32"),
    ):
        np.testing.assert_array_equal(converter(same), expected)
    np.testing.assert_array_equal(converter([keras.ops.convert_to_tensor(image)]), expected[None])


def test_stretching_fills_the_model_frame():
    found = SAMImageConverter((32, 48), resize="stretch")(random_image(20, 20))
    expected = prepared_by_pillow(random_image(20, 20), 32, 48)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_unit_normalization_undoes_that_of_the_model():
    image = random_image(32, 48)
    found = SAMImageConverter((32, 48), normalization="unit")(image)
    np.testing.assert_allclose((found - MEAN) / STD, image / 255, atol=1e-6)


def test_min_max_normalization_spans_zero_to_one():
    image = 100 + random_image(32, 48) // 4
    found = (SAMImageConverter((32, 48), normalization="min_max")(image) - MEAN) / STD
    assert found.min() == pytest.approx(0, abs=1e-6)
    assert found.max() == pytest.approx(1, abs=1e-6)


def test_bicubic_interpolation_is_that_of_pillow():
    image = random_image(64, 96)
    resized = Image.fromarray(image).resize((48, 32), Image.Resampling.BICUBIC)
    found = SAMImageConverter((32, 48), interpolation="bicubic")(image)
    np.testing.assert_allclose(found, np.asarray(resized) / 255, atol=1e-6)


def test_the_transform_moves_points_like_pixels(converter):
    transform = converter.transform((64, 33))
    np.testing.assert_allclose(transform.apply_points([[33, 64]]), [[17, 32]])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8)), "must have shape"),
        (np.zeros((8, 8, 4), np.uint8), "must have shape"),
        (np.zeros((8, 0, 3), np.uint8), "must have shape"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), "must have shape"),
        (np.zeros((2, 8, 8, 1), np.uint8), "must have shape"),
        ([np.zeros((1, 8, 8, 3), np.uint8)], "must have shape"),
        (np.full((8, 8, 3), -1.0), r"values in \[0, 255\], got -1"),
        (np.full((8, 8, 3), 256), r"values in \[0, 255\], got 256"),
        (np.full((8, 8, 3), np.nan), r"values in \[0, 255\]"),
        (np.full((8, 8, 3), 0.7), "Multiply by 255"),
    ],
)
def test_images_of_other_shapes_and_values_are_refused(converter, image, message):
    with pytest.raises(ValueError, match=message):
        converter(image)


def test_black_images_are_valid_in_any_dtype(converter):
    black = np.zeros((32, 48, 3))
    np.testing.assert_array_equal(converter(black), converter(black.astype("uint8")))


@pytest.mark.parametrize("option", ["resize", "interpolation", "normalization"])
def test_unknown_options_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} must be one of"):
        SAMImageConverter((32, 48), **{option: "none"})


def test_the_config_makes_the_same_converter():
    options = {"resize": "stretch", "interpolation": "bicubic", "normalization": "min_max"}
    converter = SAMImageConverter((32, 48), **options, name="converter")
    config = keras.saving.serialize_keras_object(converter)
    again = keras.saving.deserialize_keras_object(config)
    assert again.name == "converter"
    image = random_image(20, 30)
    np.testing.assert_array_equal(again(image), converter(image))


def test_images_are_split_with_their_sizes():
    images = [random_image(4, 5), random_image(6, 7)]
    assert size_of_images(images_to_list(images)[0]) == [(4, 5), (6, 7)]
    assert [is_batched for _, is_batched in map(images_to_list, (images, images[0]))] == [
        True,
        False,
    ]
