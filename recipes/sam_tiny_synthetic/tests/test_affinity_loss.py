"""The affinity loss of pairs of cells."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from recipes.sam_tiny_synthetic.affinity_loss import LOGIT_OFFSET, AffinityLoss, pairwise_targets

# Stands for a segmenter whose images are encoded already.
SEGMENTER = SimpleNamespace(
    backbone=SimpleNamespace(low_res_size=(8, 12)), embedding_names=("image_embeddings",)
)


def loop_over_pairs(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`pairwise_targets` cell by cell."""
    images, count, height, width = masks.shape
    cells = [(row, column) for row in range(0, height, 4) for column in range(0, width, 4)]
    coverage = np.zeros((images, count, len(cells)))
    for index, (row, column) in enumerate(cells):
        coverage[:, :, index] = masks[:, :, row : row + 4, column : column + 4].mean((2, 3))
    target = np.zeros((images, len(cells), len(cells)))
    for first, second in np.ndindex(len(cells), len(cells)):
        shared = (coverage[:, :, first] * coverage[:, :, second]).sum(1)
        target[:, first, second] = shared / coverage[:, :, first].sum(1)
    return target, coverage.sum(1)


def compute_loss(embeddings: np.ndarray, masks: np.ndarray) -> float:
    y_pred = {"image_embeddings": ops.convert_to_tensor(embeddings.astype("float32"))}
    y = {"masks": ops.convert_to_tensor(masks)}
    return float(ops.convert_to_numpy(AffinityLoss().compute(SEGMENTER, {}, y, y_pred).loss))


def test_pairwise_targets_equal_a_loop_over_pairs():
    masks = (np.random.default_rng(0).random((2, 3, 8, 12)) < 0.4).astype("float32")
    results = pairwise_targets(ops.convert_to_tensor(masks))
    for result, expected in zip(results, loop_over_pairs(masks), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(result), expected, rtol=1e-4, atol=1e-5)


def test_embeddings_that_separate_objects_have_a_small_loss():
    masks = np.zeros((1, 2, 8, 12), "float32")
    masks[:, 0, :, :8], masks[:, 1, :, 8:] = 1, 1
    sign = np.array([1, 1, -1]).repeat(2).reshape(3, 2)  # one value per column of cells
    scale = 2 * (LOGIT_OFFSET * 2**0.5) ** 0.5
    embeddings = np.broadcast_to(sign[None, None], (1, 2, 3, 2)) * scale
    separated = compute_loss(embeddings, masks)
    mixed = compute_loss(np.roll(embeddings, 1, axis=2), masks)
    assert separated < 0.05
    assert mixed > separated + 0.5


def test_images_without_masks_have_no_loss():
    assert compute_loss(np.ones((1, 2, 3, 4)), np.zeros((1, 2, 8, 12), "float32")) == 0.0


def test_masks_of_another_shape_raise():
    with pytest.raises(ValueError, match="low-res grid"):
        compute_loss(np.ones((1, 2, 3, 4)), np.zeros((1, 2, 8, 8), "float32"))
