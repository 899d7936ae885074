"""`copy_model`: a compiled model once more, on other devices or in another process."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.models.backbone import Backbone
from keras_sam.models.lora import adapted_layers
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.weight_names import layers_by_prefix, weights_by_name


def describe_model(model: keras.Model) -> dict[str, Any]:
    """Describe a compiled model for `build_model`, without the values of its weights.

    Args:
        model: Compiled model. Adapters and frozen weights are a part of the description.

    Returns:
        Dictionary of plain values, for `pickle`.
    """
    config = keras.saving.serialize_keras_object(model)
    return {
        "compile_config": config.pop("compile_config"),
        "config": config,
        "lora": {
            prefix: (layer.lora_rank, layer.lora_alpha)
            for prefix, layer in adapted_layers(model).items()
        },
        "remat": [
            prefix
            for prefix, layer in layers_by_prefix(model).items()
            if isinstance(layer, Backbone) and getattr(layer, "remat", False)
        ],
        "trainable_layers": {
            prefix: layer.trainable for prefix, layer in layers_by_prefix(model).items()
        },
        "trainable_weights": {
            name: weight.trainable for name, weight in weights_by_name(model).items()
        },
    }


def build_model(description: dict[str, Any]) -> keras.Model:
    """Build a compiled model with random weights and a new optimizer.

    Args:
        description: Output of `describe_model`.
    """
    model = keras.saving.deserialize_keras_object(description["config"])
    for prefix, (rank, alpha) in description["lora"].items():
        layers_by_prefix(model)[prefix].enable_lora(rank, lora_alpha=alpha)
    for prefix in description["remat"]:
        layers_by_prefix(model)[prefix].remat = True
    for prefix, layer in layers_by_prefix(model).items():  # an outer layer sets its inner ones
        set_trainable(layer, description["trainable_layers"][prefix])
    for name, weight in weights_by_name(model).items():
        weight.trainable = description["trainable_weights"][name]
    model.compile_from_config(description["compile_config"])
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return model


def training_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Map names to the weights, the optimizer's variables and the random seeds of a model.

    Args:
        model: Compiled model with a built optimizer.
    """
    return (
        weights_by_name(model)
        | {f"optimizer/{index}": value for index, value in enumerate(model.optimizer.variables)}
        | {f"seed/{index}": value for index, value in enumerate(seed_states(model))}
    )


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """Return the states `(2,)` of the seed generators of a model and its loss."""
    return [value for value in model.variables if value.name == "seed_generator_state"]


def copy_values(source: keras.Model, target: keras.Model) -> None:
    """Assign the `training_variables` of a model to those of its copy.

    Args:
        source: Compiled model with a built optimizer.
        target: Model of the same description.
    """
    targets = training_variables(target)
    for name, variable in training_variables(source).items():
        targets[name].assign(np.array(ops.convert_to_numpy(variable)))
