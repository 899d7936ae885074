"""Simulated points and boxes lie where their masks are."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.losses import jitter_boxes, mask_boxes, sample_error_point, sample_point
from keras_sam.losses.simulated_prompts import mask_depth

IMAGE_SIZE = (64, 128)
SIZES = {"image_size": IMAGE_SIZE, "low_res_size": (16, 32)}  # cells of four pixels
BOXES = [[[40, 16], [120, 48]], [[20, 12], [24, 16]]]  # of the fixture's masks


def tensor(array: np.ndarray):
    return ops.convert_to_tensor(array)


def cells(points) -> np.ndarray:
    """Low-res columns and rows of points in the model frame."""
    return np.floor((ops.convert_to_numpy(points) + 0.5) / 4).astype(int)


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
            tensor(masks), **SIZES, center_probability=center_probability, seed=seed
        )
        x, y = cells(points)[0, 0]
        assert masks[0, 0, y, x] == 1
        assert cells(points)[0, 1].tolist() == [5, 3]


def test_center_points_keep_away_from_the_boundary(masks, seed):
    points = sample_point(tensor(masks), **SIZES, center_probability=1.0, seed=seed)
    x, y = cells(points)[0, 0]
    assert 12 <= x < 28
    assert 6 <= y < 10


def test_uniform_points_are_uniform_over_the_pixels_of_the_mask(seed):
    """A mask finer than the low-res grid: a full cell, and three pixels of another one."""
    fine = np.zeros((1, 1, 64, 128), "uint8")
    fine[0, 0, 12:16, 20:24] = 1
    fine[0, 0, 17, [41, 42, 43]] = 1
    many = np.repeat(fine, 2000, axis=1)
    points = ops.convert_to_numpy(sample_point(tensor(many), **SIZES, seed=seed))[0]
    pixels = np.floor(points + 0.5).astype(int)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    assert {(y, x) for x, y in found.tolist()} == set(zip(*np.nonzero(fine[0, 0]), strict=True))
    assert counts.min() > 60  # 105 are expected of each
    assert counts.max() < 160
    offsets = points + 0.5 - pixels  # within a pixel
    np.testing.assert_allclose(offsets.mean(axis=0), 0.5, atol=0.05)
    assert np.ptp(offsets) > 0.95


def test_error_points_lie_in_a_pixel_with_their_label(seed):
    """The cell (3, 5) is foreground but for a pixel; the cell (4, 5) is background but for one."""
    fine = np.zeros((1, 2, 64, 128), "uint8")
    fine[:, :, 12:16, 20:24] = 1
    fine[:, :, 12, 20] = 0
    fine[:, :, 16, 20] = 1
    logits = np.full((1, 2, 16, 32), -5.0, "float32")
    logits[0, 1, 3:5, 5] = 5.0  # mask 0 is missed, mask 1 has a false cell
    for _ in range(20):
        points, labels = sample_error_point(
            tensor(logits), tensor(fine), image_size=IMAGE_SIZE, seed=seed
        )
        pixels = np.floor(ops.convert_to_numpy(points)[0, :, 0] + 0.5).astype(int)
        assert ops.convert_to_numpy(labels).tolist() == [[[1], [0]]]
        assert [fine[0, index, y, x] for index, (x, y) in enumerate(pixels)] == [1, 0]


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
    x, y = cells(points)[0, 0, 0]
    assert masks[0, 0, y, x] == 1
    assert ops.convert_to_numpy(labels).tolist() == [[[1], [1]]]


def test_boxes_of_masks(masks):
    found = mask_boxes(tensor(masks), image_size=IMAGE_SIZE)
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0], BOXES)


def test_noise_of_boxes_is_limited(seed):
    boxes = np.array(BOXES, "float32")[None]
    found = ops.convert_to_numpy(jitter_boxes(tensor(boxes), image_size=IMAGE_SIZE, seed=seed))
    assert found.shape == (1, 2, 2, 2)
    error = np.abs(found - boxes).max()
    assert 0 < error < 4.5 * 20 / 1024 * 128  # standard deviations of 20/1024 of the frame


def test_boxes_without_noise_are_unchanged(seed):
    boxes = np.array(BOXES, "float32")[None]
    found = jitter_boxes(tensor(boxes), image_size=IMAGE_SIZE, noise=0.0, seed=seed)
    np.testing.assert_allclose(ops.convert_to_numpy(found), boxes)


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
