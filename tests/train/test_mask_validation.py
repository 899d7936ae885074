"""Validation with fixed prompts, and the weights of the best epoch."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.train.mask_validation import MaskValidation

pytestmark = pytest.mark.training


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


def fit(model, validation, epochs):
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    return model.fit(x, y, epochs=epochs, verbose=0, callbacks=[validation]).history


class Scores:
    """Returns given metrics one after another, and records the weights at each call."""

    def __init__(self, model, *values):
        self.model, self.values, self.weights = model, list(values), []

    def __call__(self):
        self.weights.append([ops.convert_to_numpy(w) for w in self.model.weights])
        box, point = self.values[len(self.weights) - 1]
        return {"box": box, "point": point}


def test_the_weights_of_the_best_epoch_are_kept(model):
    scores = Scores(model, (0.5, 0.5), (0.6, 0.6), (0.9, 0.4), (0.6, 0.65))
    messages = []
    validation = MaskValidation(scores, warn=messages.append)
    history = fit(model, validation, 3)
    assert validation.best_epoch == 2
    assert validation.best == {"box": 0.9, "point": 0.4}
    assert validation.baseline == {"box": 0.5, "point": 0.5}
    for found, expected in zip(model.weights, scores.weights[2], strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)
    assert not np.array_equal(scores.weights[2][0], scores.weights[3][0])
    assert history["val_box"] == [0.6, 0.9, 0.6]
    assert messages == [
        "epoch 2 is worse than before training: point 0.400 (before training 0.500)"
    ]


def test_training_cannot_make_a_model_worse(model):
    scores = Scores(model, (0.5, 0.5), (0.4, 0.5), (0.3, 0.5))
    validation = MaskValidation(scores, warn=lambda message: None)
    fit(model, validation, 2)
    assert validation.best_epoch == 0
    for found, expected in zip(model.weights, scores.weights[0], strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)


def test_training_stops_without_progress(model):
    scores = Scores(model, *[(0.5, 0.5), (0.6, 0.6), (0.5, 0.6), (0.5, 0.6), (0.5, 0.6)])
    fit(model, MaskValidation(scores, patience=2, warn=lambda message: None), 9)
    assert len(scores.weights) == 4  # before training, and three epochs


def test_a_restored_state_continues(model):
    validation = MaskValidation(Scores(model, (0.5, 0.5), (0.7, 0.7)))
    fit(model, validation, 1)
    best = [ops.convert_to_numpy(w) for w in model.weights]
    again = MaskValidation(Scores(model, (0.1, 0.1)), warn=lambda message: None)
    again.restore(validation.state)
    fit(model, again, 1)
    assert again.best == {"box": 0.7, "point": 0.7}
    for found, expected in zip(model.weights, best, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)


def test_only_given_kinds_are_compared(model):
    scores = Scores(model, (0.5, 0.5), (0.4, 0.9), (0.6, 0.1))
    messages = []
    validation = MaskValidation(scores, kinds=["box"], warn=messages.append)
    history = fit(model, validation, 2)
    assert validation.best_epoch == 2
    assert history["val_point"] == [0.9, 0.1]
    assert messages == ["epoch 1 is worse than before training: box 0.400 (before training 0.500)"]
