"""`set_trainable`: freezes a layer with all that is in it, or thaws it."""

import keras


def set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    """Sets `trainable` of a layer and of every layer within.

    Setting the attribute alone does not always do so: with the TensorFlow backend, Keras (3.15)
    skips a value that the layer has already, and the constructor's argument `trainable` never
    reaches the layers within.
    """
    layer.trainable = not value
    layer.trainable = value
