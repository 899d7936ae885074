"""`call_with_remat`: call a layer without keeping its intermediate results for gradients."""

from typing import Any

import keras


def call_with_remat(layer: keras.layers.Layer, inputs: Any, **kwargs: Any) -> Any:
    """Call a layer whose intermediate results are computed again for its gradients.

    The outputs and gradients are those of a plain call. Memory is saved and the forward pass of
    the layer runs twice (arXiv 1604.06174). The layer must not change its weights in a call, as
    batch norms do in training.

    Args:
        layer: Built layer that returns one array.
        inputs: Float array, the first argument of the layer.
        **kwargs: Other arguments of the layer.
    """
    # TensorFlow passes only arrays to the function; the closure passes the rest.
    return keras.remat(lambda array: layer(array, **kwargs))(inputs)
