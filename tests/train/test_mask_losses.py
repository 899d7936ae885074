"""Losses against their formulas in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.train.mask_losses import dice_loss, focal_loss, mask_iou


def tensors(*arrays: np.ndarray) -> list:
    return [ops.convert_to_tensor(array) for array in arrays]


@pytest.fixture
def logits_and_target() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 3, 8, 8)).astype("float32")
    return logits, (rng.random((2, 3, 8, 8)) > 0.6).astype("float32")


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, None), (1.5, 0.7)])
def test_pixel_loss_equals_the_formula(logits_and_target, gamma, alpha):
    logits, target = logits_and_target
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    true_class = np.where(target > 0, probability, 1 - probability)
    weight = 1.0 if alpha is None else np.where(target > 0, alpha, 1 - alpha)
    expected = (-weight * (1 - true_class) ** gamma * np.log(true_class)).mean((-2, -1))
    found = ops.convert_to_numpy(focal_loss(*tensors(logits, target), gamma=gamma, alpha=alpha))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_pixel_loss_of_extreme_logits_is_finite():
    logits = np.full((1, 2, 2), 1e4, "float32")
    found = ops.convert_to_numpy(focal_loss(*tensors(logits, np.zeros_like(logits))))
    assert np.isfinite(found).all()


def test_dice_loss_equals_the_formula(logits_and_target):
    logits, target = logits_and_target
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    overlap = (probability * target).sum((-2, -1))
    total = probability.sum((-2, -1)) + target.sum((-2, -1))
    expected = 1 - (2 * overlap + 1) / (total + 1)
    np.testing.assert_allclose(
        ops.convert_to_numpy(dice_loss(*tensors(logits, target))), expected, rtol=1e-4
    )


def test_mask_iou_counts_pixels():
    logits = np.array([[[1.0, 1.0], [-1.0, -1.0]]], "float32")
    target = np.array([[[1.0, 0.0], [1.0, 0.0]]], "float32")
    assert float(ops.convert_to_numpy(mask_iou(*tensors(logits, target)))[0]) == pytest.approx(
        1 / 3
    )
