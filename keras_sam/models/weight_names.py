"""`weights_by_name`: the weights of a model under the names that checkpoints use."""

from typing import Any

import keras


def weights_by_name(model: keras.layers.Layer) -> dict[str, keras.Variable]:
    """Map names to the weights of a model.

    Names follow the model's attributes and the names of its inner layers, for example
    `image_encoder/blocks_0/mlp/dense1/kernel`. The name of the model itself is not part of them.

    Args:
        model: Built model or layer.
    """
    return {
        prefix + variable.name: variable
        for prefix, layer in layers_by_prefix(model).items()
        for variable in layer._trainable_variables + layer._non_trainable_variables
    }


def layers_by_prefix(model: keras.layers.Layer) -> dict[str, keras.layers.Layer]:
    """Map the prefix of each layer's weights, such as `image_encoder/neck/conv1/`, to the layer.

    Args:
        model: Built model or layer.
    """
    layers: dict[str, keras.layers.Layer] = {}
    _collect(model, "", layers)
    return layers


def _collect(layer: keras.layers.Layer, prefix: str, layers: dict[str, Any]) -> None:
    layers[prefix] = layer
    for child in layer._layers:
        if not isinstance(child, keras.metrics.Metric):
            _collect(child, f"{prefix}{_name_in(layer, child)}/", layers)


def _name_in(parent: keras.layers.Layer, child: keras.layers.Layer) -> str:
    for attribute in ("image_encoder", "prompt_encoder", "mask_decoder"):
        if getattr(parent, attribute, None) is child:
            return attribute
    return child.name
