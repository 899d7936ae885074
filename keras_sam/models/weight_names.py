"""`weights_by_name`: the weights of a model under the names that checkpoints use."""

import keras


def weights_by_name(model: keras.layers.Layer) -> dict[str, keras.Variable]:
    """Map names to the weights of a model.

    Names follow the model's attributes and the names of its inner layers, for example
    `image_encoder/blocks_0/mlp/dense1/kernel`. The name of the model itself is not part of them.

    Args:
        model: Built model or layer.
    """
    weights: dict[str, keras.Variable] = {}
    _collect(model, "", weights)
    return weights


def _collect(layer: keras.layers.Layer, prefix: str, weights: dict[str, keras.Variable]) -> None:
    for variable in layer._trainable_variables + layer._non_trainable_variables:
        weights[prefix + variable.name] = variable
    for child in layer._layers:
        if isinstance(child, keras.metrics.Metric):
            continue
        _collect(child, f"{prefix}{_name_in(layer, child)}/", weights)


def _name_in(parent: keras.layers.Layer, child: keras.layers.Layer) -> str:
    for attribute in ("image_encoder", "prompt_encoder", "mask_decoder"):
        if getattr(parent, attribute, None) is child:
            return attribute
    return child.name
