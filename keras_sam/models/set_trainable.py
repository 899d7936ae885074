"""`set_trainable`: freeze or unfreeze a layer with everything inside it."""

import keras


def set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    """Set `trainable` of a layer and of every layer inside it.

    Setting the attribute alone is not enough. With the TensorFlow backend, Keras 3.15 skips a
    value that the layer already has, and the constructor's argument `trainable` never reaches
    inner layers.

    Args:
        layer: Layer or model.
        value: If True, the weights are trained.
    """
    layer.trainable = not value
    layer.trainable = value
