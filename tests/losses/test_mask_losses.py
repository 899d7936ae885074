"""Mask losses equal their formulas in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_sam.losses import dice_loss, focal_loss, mask_iou


def evaluate(function, *arrays: np.ndarray, **options) -> np.ndarray:
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    return ops.convert_to_numpy(function(*tensors, **options))


@pytest.fixture
def logits_and_target() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (2, 3, 8, 8)).astype("float32")
    return logits, (random.random((2, 3, 8, 8)) > 0.6).astype("float32")


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, None), (1.5, 0.7)])
def test_focal_loss_equals_the_formula(logits_and_target, gamma, alpha):
    logits, target = logits_and_target
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    true_class = np.where(target > 0, probability, 1 - probability)
    weight = 1.0 if alpha is None else np.where(target > 0, alpha, 1 - alpha)
    expected = (-weight * (1 - true_class) ** gamma * np.log(true_class)).mean((-2, -1))
    loss = evaluate(focal_loss, logits, target, gamma=gamma, alpha=alpha)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_focal_loss_of_extreme_logits_is_finite():
    logits = np.full((1, 2, 2), 1e4, "float32")
    assert np.isfinite(evaluate(focal_loss, logits, np.zeros_like(logits))).all()


def test_dice_loss_equals_the_formula(logits_and_target):
    logits, target = logits_and_target
    probability = 1 / (1 + np.exp(-logits.astype("float64")))
    intersection = (probability * target).sum((-2, -1))
    total = probability.sum((-2, -1)) + target.sum((-2, -1))
    expected = 1 - (2 * intersection + 1) / (total + 1)
    np.testing.assert_allclose(evaluate(dice_loss, logits, target), expected, rtol=1e-4)


def test_mask_iou_counts_pixels(logits_and_target):
    logits, target = logits_and_target
    intersection = ((logits > 0) & (target > 0)).sum((-2, -1))
    union = ((logits > 0) | (target > 0)).sum((-2, -1))
    np.testing.assert_allclose(evaluate(mask_iou, logits, target), intersection / union, rtol=1e-6)


def test_mask_iou_of_empty_masks_is_zero():
    logits = np.full((1, 2, 2), -1.0, "float32")
    assert evaluate(mask_iou, logits, np.zeros_like(logits)).tolist() == [0.0]
