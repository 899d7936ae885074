"""Simulated points and boxes lie where their masks are."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import jitter_box, sample_error_point, sample_point
from keras_sam.losses.simulated_prompts import mask_depth

IMAGE_SIZE = (64, 128)  # the low-res grid is (16, 32): cells of four pixels
BOXES = [[[40, 16], [120, 48]], [[20, 12], [24, 16]]]  # of the fixture's masks


def tensor(array: np.ndarray):
    return ops.convert_to_tensor(array)


def cells(points) -> np.ndarray:
    """Low-res columns and rows of points in the model frame."""
    return (ops.convert_to_numpy(points) + 0.5) / 4


@pytest.fixture
def masks() -> np.ndarray:
    """One rectangle and one single cell, `(1, 2, 16, 32)`."""
    masks = np.zeros((1, 2, 16, 32), "float32")
    masks[0, 0, 4:12, 10:30] = 1
    masks[0, 1, 3, 5] = 1
    return masks


@pytest.fixture
def logits(masks) -> np.ndarray:
    """Logits of a perfect prediction."""
    return np.where(masks > 0, 5.0, -5.0).astype("float32")


@pytest.fixture
def seed() -> keras.random.SeedGenerator:
    return keras.random.SeedGenerator(3)


@pytest.mark.parametrize("center_probability", [0.0, 1.0])
def test_points_lie_inside_their_masks(masks, seed, center_probability):
    for _ in range(5):
        points = sample_point(
            tensor(masks), image_size=IMAGE_SIZE, center_probability=center_probability, seed=seed
        )
        x, y = cells(points)[0, 0].astype(int)
        assert masks[0, 0, y, x] == 1
        np.testing.assert_allclose(cells(points)[0, 1], (5.5, 3.5))  # the cell's center


def test_center_points_keep_away_from_the_boundary(masks, seed):
    points = sample_point(tensor(masks), image_size=IMAGE_SIZE, center_probability=1.0, seed=seed)
    x, y = cells(points)[0, 0]
    assert 12 < x < 28
    assert 6 < y < 10


def test_uniform_points_cover_the_mask(masks, seed):
    many = np.repeat(masks[:, :1], 400, axis=1)
    points = sample_point(tensor(many), image_size=IMAGE_SIZE, seed=seed)
    assert len(np.unique(cells(points)[0].astype(int), axis=0)) > 110  # of 160 cells


def test_error_points_are_foreground_where_the_mask_was_missed(masks, logits, seed):
    logits[0, 0, 4:12, 10:20] = -5.0  # false negatives
    logits[0, 1, 10:12, 20:24] = 5.0  # false positives
    points, labels = sample_error_point(
        tensor(logits), tensor(masks), image_size=IMAGE_SIZE, seed=seed
    )
    assert ops.convert_to_numpy(labels).tolist() == [[[1], [0]]]
    columns = cells(points)[0, :, 0, 0]
    assert 10 <= columns[0] < 20
    assert 20 <= columns[1] < 24


def test_error_points_of_a_perfect_prediction_lie_inside_the_mask(masks, logits, seed):
    points, labels = sample_error_point(
        tensor(logits), tensor(masks), image_size=IMAGE_SIZE, seed=seed
    )
    x, y = cells(points)[0, 0, 0].astype(int)
    assert masks[0, 0, y, x] == 1
    assert ops.convert_to_numpy(labels).tolist() == [[[1], [1]]]


def test_noise_of_boxes_is_limited(masks, seed):
    boxes = ops.convert_to_numpy(jitter_box(tensor(masks), image_size=IMAGE_SIZE, seed=seed))
    assert boxes.shape == (1, 2, 2, 2)
    error = np.abs(boxes[0] - BOXES).max()
    assert 0 < error < 4.5 * 20 / 1024 * 128  # standard deviations of 20/1024 of the frame


def test_boxes_without_noise_are_exact(masks, seed):
    boxes = jitter_box(tensor(masks), image_size=IMAGE_SIZE, noise=0.0, seed=seed)
    np.testing.assert_allclose(ops.convert_to_numpy(boxes)[0], BOXES)


def test_mask_depth_is_the_mean_foreground_share_of_three_squares():
    masks = (np.random.default_rng(4).random((1, 2, 16, 32)) < 0.6).astype("float32")

    def window_means(grid, side):
        means = np.zeros_like(grid)
        for y, x in np.ndindex(grid.shape):
            top, left = max(0, y - side // 2), max(0, x - side // 2)
            means[y, x] = grid[top : y + side // 2 + 1, left : x + side // 2 + 1].mean()
        return means

    depth = ops.convert_to_numpy(mask_depth(tensor(masks)))
    for index in range(2):
        grid = masks[0, index]
        coarse = grid.reshape(4, 4, 8, 4).mean((1, 3))
        wide = sum(np.kron(window_means(coarse, side), np.ones((4, 4))) for side in (3, 7))
        np.testing.assert_allclose(depth[0, index], (window_means(grid, 5) + wide) / 3, atol=1e-5)
