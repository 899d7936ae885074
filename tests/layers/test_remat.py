"""Calls of layers that compute their intermediate results again for the gradients."""

import keras
import numpy as np
import pytest

from keras_sam.layers.remat import call_with_remat
from keras_sam.layers.vit_block import ViTBlock

pytestmark = pytest.mark.training


class Blocks(keras.Model):
    """Two transformer blocks."""

    def __init__(self, *, remat: bool) -> None:
        super().__init__()
        self.remat = remat
        self.blocks = [
            ViTBlock(2, 16, grid_size=(4, 4), hidden_size=8, window_size=size, name=f"block{size}")
            for size in (2, 0)
        ]
        for block in self.blocks:
            block.build((None, 4, 4, 8))

    def call(self, grid):
        for block in self.blocks:
            grid = call_with_remat(block, grid) if self.remat else block(grid)
        return grid


def train(*, remat: bool) -> tuple[float, list[np.ndarray]]:
    """Loss of one step of gradient descent, and the weights after it."""
    keras.utils.set_random_seed(0)
    model = Blocks(remat=remat)
    model.compile(keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 2, 4, 4, 8)).astype("float32")
    loss = model.train_on_batch(x, y)
    return float(loss), [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_loss_and_gradients_are_those_of_a_plain_call():
    (loss, weights), (expected_loss, expected) = train(remat=True), train(remat=False)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    for weight, plain in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight, plain, rtol=1e-5, atol=1e-7)


def test_other_arguments_are_passed_on():
    layer = keras.layers.Dropout(0.5, seed=0)
    ones = np.ones((1, 100), "float32")
    inference = keras.ops.convert_to_numpy(call_with_remat(layer, ones, training=False))
    np.testing.assert_array_equal(inference, ones)
