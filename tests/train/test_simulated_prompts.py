"""Simulated prompts lie where they should."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.train.simulated_prompts import _depth, jitter_box, sample_error_point, sample_point

IMAGE_SIZE = (64, 128)  # a low-res grid of (16, 32): four pixels a cell


def tensor(array: np.ndarray):
    return ops.convert_to_tensor(array)


@pytest.fixture
def masks() -> np.ndarray:
    """One rectangle and one dot, `(1, 2, 16, 32)`."""
    masks = np.zeros((1, 2, 16, 32), "float32")
    masks[0, 0, 4:12, 10:30] = 1
    masks[0, 1, 3, 5] = 1
    return masks


@pytest.mark.parametrize("deep_probability", [0.0, 1.0])
def test_inner_points_lie_in_their_masks(masks, deep_probability):
    seed = keras.random.SeedGenerator(3)
    for _ in range(5):
        points = sample_point(
            tensor(masks), image_size=IMAGE_SIZE, deep_probability=deep_probability, seed=seed
        )
        points = ops.convert_to_numpy(points)
        x, y = ((points[0, 0] + 0.5) / 4).astype(int)
        assert masks[0, 0, y, x] == 1
        np.testing.assert_allclose(points[0, 1], (5.5 * 4 - 0.5, 3.5 * 4 - 0.5))


def test_deep_points_keep_away_from_the_border(masks):
    seed = keras.random.SeedGenerator(3)
    points = sample_point(tensor(masks), image_size=IMAGE_SIZE, deep_probability=1.0, seed=seed)
    x, y = (ops.convert_to_numpy(points)[0, 0] + 0.5) / 4
    assert 12 < x < 28
    assert 6 < y < 10


def test_uniform_points_cover_the_mask(masks):
    seed = keras.random.SeedGenerator(3)
    many = np.repeat(masks[:, :1], 400, axis=1)
    points = ops.convert_to_numpy(sample_point(tensor(many), image_size=IMAGE_SIZE, seed=seed))
    cells = ((points[0] + 0.5) / 4).astype(int)
    assert len(np.unique(cells, axis=0)) > 110  # of 160 cells


def test_error_points_say_what_was_wrong(masks):
    seed = keras.random.SeedGenerator(3)
    logits = np.where(masks > 0, 5.0, -5.0).astype("float32")
    logits[0, 0, 4:12, 10:20] = -5.0  # missed
    logits[0, 1, 10:12, 20:24] = 5.0  # taken too much
    points, labels = sample_error_point(
        tensor(logits), tensor(masks), image_size=IMAGE_SIZE, seed=seed
    )
    points, labels = ops.convert_to_numpy(points), ops.convert_to_numpy(labels)
    cells = ((points[0, :, 0] + 0.5) / 4).astype(int)
    assert labels.tolist() == [[[1], [0]]]
    assert 10 <= cells[0, 0] < 20
    assert 20 <= cells[1, 0] < 24


def test_without_error_the_point_is_in_the_mask(masks):
    seed = keras.random.SeedGenerator(3)
    logits = np.where(masks > 0, 5.0, -5.0).astype("float32")
    points, labels = sample_error_point(
        tensor(logits), tensor(masks), image_size=IMAGE_SIZE, seed=seed
    )
    x, y = ((ops.convert_to_numpy(points)[0, 0, 0] + 0.5) / 4).astype(int)
    assert masks[0, 0, y, x] == 1
    assert ops.convert_to_numpy(labels).min() == 1


def test_boxes_enclose_their_masks_but_for_the_noise(masks):
    seed = keras.random.SeedGenerator(3)
    boxes = ops.convert_to_numpy(jitter_box(tensor(masks), image_size=IMAGE_SIZE, seed=seed))
    expected = np.array([[[40, 16], [120, 48]], [[20, 12], [24, 16]]], "float32")
    assert boxes.shape == (1, 2, 2, 2)
    limit = 4.5 * 20 / 1024 * 128  # standard deviations
    assert np.abs(boxes[0] - expected).max() < limit
    assert np.abs(boxes[0] - expected).max() > 0


def test_boxes_without_noise_are_exact(masks):
    seed = keras.random.SeedGenerator(3)
    found = jitter_box(tensor(masks), image_size=IMAGE_SIZE, noise=0.0, seed=seed)
    expected = [[[40, 16], [120, 48]], [[20, 12], [24, 16]]]
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0], expected)


def test_depth_is_the_mean_of_three_squares():
    masks = (np.random.default_rng(4).random((1, 2, 16, 32)) < 0.6).astype("float32")

    def means(grid, side):
        found = np.zeros_like(grid)
        for y, x in np.ndindex(grid.shape):
            top, left = max(0, y - side // 2), max(0, x - side // 2)
            found[y, x] = grid[top : y + side // 2 + 1, left : x + side // 2 + 1].mean()
        return found

    found = ops.convert_to_numpy(_depth(tensor(masks)))
    for index in range(2):
        grid = masks[0, index]
        coarse = grid.reshape(4, 4, 8, 4).mean((1, 3))
        far = sum(np.kron(means(coarse, side), np.ones((4, 4))) for side in (3, 7))
        np.testing.assert_allclose(found[0, index], (means(grid, 5) + far) / 3, atol=1e-5)
