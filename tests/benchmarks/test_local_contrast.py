import numpy as np

from benchmarks.local_contrast import local_deviations


def test_deviation_of_each_whole_square():
    image = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    brightness = image.mean(-1) / 255
    expected = [
        brightness[y : y + 4, x : x + 4].std() for y in (0, 4) for x in (0, 4, 8)
    ]  # the last row and column of pixels belong to no square
    np.testing.assert_allclose(local_deviations([image], 4), expected)


def test_squares_of_all_images_are_joined():
    images = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 16, 3), np.uint8)]
    np.testing.assert_array_equal(local_deviations(images, 8), np.zeros(3))
