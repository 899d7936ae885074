"""The affinity loss against a slow version, and what it teaches."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from recipes.sam_tiny_synthetic.affinity_loss import OFFSET, AffinityLoss, shared_masks


def masks(images: int = 2, count: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random((images, count, 8, 12)) < 0.4).astype("float32")


def slow_shared_masks(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell by cell and mask by mask."""
    images, count, height, width = masks.shape
    cells = [(row, column) for row in range(0, height, 4) for column in range(0, width, 4)]
    cover = np.zeros((images, count, len(cells)))
    for index, (row, column) in enumerate(cells):
        cover[:, :, index] = masks[:, :, row : row + 4, column : column + 4].mean((2, 3))
    target = np.zeros((images, len(cells), len(cells)))
    for first in range(len(cells)):
        for second in range(len(cells)):
            both = (cover[:, :, first] * cover[:, :, second]).sum(1)
            target[:, first, second] = both / cover[:, :, first].sum(1)
    return target, cover.sum(1)


def test_shared_masks_equal_a_slow_count():
    found = shared_masks(ops.convert_to_tensor(masks()))
    for one, expected in zip(found, slow_shared_masks(masks()), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(one), expected, rtol=1e-4, atol=1e-5)


# Stands for a segmenter that has encoded its images.
ENCODED = SimpleNamespace(backbone=SimpleNamespace(low_res_size=(8, 12)))


def loss_of(embeddings: np.ndarray, truth: np.ndarray) -> float:
    outputs = {"image_embeddings": ops.convert_to_tensor(embeddings.astype("float32"))}
    loss = AffinityLoss().compute(ENCODED, {}, {"masks": ops.convert_to_tensor(truth)}, outputs)
    return float(ops.convert_to_numpy(loss))


def test_embeddings_that_tell_objects_apart_have_a_small_loss():
    truth = np.zeros((1, 2, 8, 12), "float32")
    truth[:, 0, :, :8], truth[:, 1, :, 8:] = 1, 1
    side = np.array([1, 1, -1]).repeat(2).reshape(3, 2)  # one value for each column of cells
    embeddings = np.broadcast_to(side[None, None], (1, 2, 3, 2)) * (OFFSET * 2**0.5) ** 0.5
    apart = loss_of(embeddings * 2, truth)
    mixed = loss_of(np.roll(embeddings, 1, axis=2) * 2, truth)
    assert apart < 0.05
    assert mixed > apart + 0.5


def test_nothing_to_learn_gives_no_loss():
    assert loss_of(np.ones((1, 2, 3, 4)), np.zeros((1, 2, 8, 12), "float32")) == 0.0


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="low-res grid"):
        loss_of(np.ones((1, 2, 3, 4)), np.zeros((1, 2, 8, 8), "float32"))
