"""Freezing and unfreezing layers with everything inside them."""

import keras
import pytest

from keras_sam.models.set_trainable import set_trainable


def build_nested(trainable: bool = True) -> keras.Sequential:
    """Build layers in layers; `trainable` is given to the innermost ones."""
    layers = [keras.layers.Dense(2, trainable=trainable), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Sequential(layers), keras.layers.Dense(3)])
    model.build((None, 4))
    return model


def test_everything_inside_is_frozen_and_unfrozen():
    model = build_nested()
    count = len(model.trainable_variables)
    assert count == 6  # a batch norm has two trainable weights and two statistics
    set_trainable(model, False)
    assert model.trainable_variables == []
    assert len(model.non_trainable_variables) == len(model.weights)
    set_trainable(model, True)
    assert len(model.trainable_variables) == count


@pytest.mark.parametrize("value", [False, True])
def test_a_value_that_the_outer_layer_has_reaches_inner_layers(value):
    model = build_nested(trainable=not value)
    model.layers[0].trainable = not value
    assert model.trainable is True
    if not value:
        model.trainable = False
    set_trainable(model, value)
    assert len(model.trainable_variables) == (6 if value else 0)


def test_a_frozen_part_leaves_the_others_trainable():
    model = build_nested()
    set_trainable(model.layers[0], False)
    assert model.trainable_variables == model.layers[1].trainable_variables
    assert len(model.trainable_variables) == 2
