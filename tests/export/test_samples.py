import numpy as np

from keras_sam.export.samples import choice, normalize_photo, photo, photo_pixels, uniform


def test_photo_is_normalized_and_padded():
    random = np.random.default_rng(0)
    image = photo(64)(random, (1, 3, 64, 64))
    assert image.shape == (1, 3, 64, 64)
    assert image.dtype == np.float32
    pixels = np.full((32, 64, 3), 255, np.uint8)
    white = normalize_photo(pixels, 64)
    np.testing.assert_allclose(white[0, :, 0, 0], [2.2489, 2.4286, 2.64], atol=1e-3)
    assert not white[:, :, 32:].any()


def test_pixels_have_the_asked_size():
    random = np.random.default_rng(0)
    for sample, shape in ((photo_pixels(), (40, 30, 3)), (photo_pixels(64), (64, 50, 3))):
        pixels = sample(random, shape)
        assert pixels.shape == shape
        assert pixels.min() >= 0
        assert 200 < pixels.max() <= 255


def test_values_are_in_their_range():
    random = np.random.default_rng(0)
    values = uniform(-2, 3)(random, (100,))
    assert values.dtype == np.float32
    assert -2 <= values.min() < values.max() <= 3
    labels = choice([1, 0], "int64")(random, (50,))
    assert labels.dtype == np.int64
    assert set(labels) == {0, 1}
