"""LoRA adapters of a model: enabled by layer names, and saved without the model."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.weight_names import layers_by_prefix, weights_by_name

FORMAT = "keras-sam LoRA adapters 1"


def enable_lora(
    model: keras.layers.Layer, rank: int, layer_names: Collection[str], *, alpha: float | None
) -> None:
    """Freeze a model, and add trainable low-rank adapters (arXiv 2106.09685) to some layers.

    The model's outputs do not change before training, since the second matrix starts with zeros.

    Args:
        model: Built model or layer.
        rank: Rank of the adapters.
        layer_names: Names of the layers, such as `qkv`.
        alpha: Adapters are scaled by `alpha / rank`. Defaults to `rank`.

    Raises:
        ValueError: If no layer has one of these names, a layer cannot have adapters or has some
            already, or `rank` is below 1.
    """
    if rank < 1:
        raise ValueError(f"rank must be 1 or more, got {rank}")
    layers = {
        prefix: layer
        for prefix, layer in layers_by_prefix(model).items()
        if layer.name in layer_names
    }
    if not layers:
        raise ValueError(f"no layer is named {' or '.join(sorted(layer_names))}")
    for prefix, layer in layers.items():
        if not hasattr(layer, "enable_lora"):
            raise ValueError(f"{prefix[:-1]} is a {type(layer).__name__}, which has no adapters")
        if layer.lora_enabled:
            raise ValueError(f"{prefix[:-1]} has adapters already")
    set_trainable(model, True)
    for prefix, layer in layers_by_prefix(model).items():
        if prefix:  # the model itself stays trainable, or Keras would skip the adapters
            set_trainable(layer, False)
    for layer in layers.values():
        set_trainable(layer, True)
    for weight in weights_by_name(model).values():
        weight.trainable = False
    for layer in layers.values():
        layer.enable_lora(rank, lora_alpha=alpha)


def save_lora_weights(model: keras.layers.Layer, path: str | Path) -> None:
    """Write the adapters of a model. The file is replaced only when the new one is complete.

    Args:
        model: Model with adapters.
        path: Path of a `.safetensors` file.

    Raises:
        ValueError: If the model has no adapters.
    """
    layers = adapted_layers(model)
    if not layers:
        raise ValueError("the model has no LoRA adapters; call enable_lora first")
    arrays, alphas = {}, {}
    for prefix, layer in layers.items():
        alphas[prefix] = float(layer.lora_alpha)
        for name in ("lora_kernel_a", "lora_kernel_b"):
            arrays[prefix + name] = keras.ops.convert_to_numpy(getattr(layer, name))
    save_safetensors(path, FORMAT, arrays, {"alpha": alphas})


def load_lora_weights(model: keras.layers.Layer, path: str | Path) -> None:
    """Read adapters into a model, and enable them if it has none.

    Args:
        model: Model of the architecture that the adapters were saved from.
        path: Output of `save_lora_weights`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is damaged, contains something else, or belongs to another
            architecture. The model is not changed then.
    """
    arrays, alphas = load_safetensors(
        path,
        FORMAT,
        lambda arrays, metadata: (arrays, {str(k): float(v) for k, v in metadata["alpha"].items()}),
        description="LoRA adapters",
    )
    layers = layers_by_prefix(model)
    for prefix in alphas:
        _check_fits(prefix, layers.get(prefix), arrays)
    adapted = adapted_layers(model)
    if adapted and set(adapted) != set(alphas):
        raise ValueError(f"the adapters in {path} belong to other layers than the model's")
    for prefix, alpha in alphas.items():
        layer: Any = layers[prefix]
        a, b = (arrays[f"{prefix}lora_kernel_{part}"] for part in "ab")
        if not layer.lora_enabled:
            layer.enable_lora(a.shape[1], lora_alpha=alpha)
        layer.lora_alpha = alpha
        layer.lora_kernel_a.assign(a)
        layer.lora_kernel_b.assign(b)


def adapted_layers(model: keras.layers.Layer) -> dict[str, Any]:
    """Map the prefixes of `layers_by_prefix` to the layers that have adapters."""
    layers = layers_by_prefix(model).items()
    return {prefix: layer for prefix, layer in layers if getattr(layer, "lora_enabled", False)}


def _check_fits(prefix: str, layer: Any, arrays: dict[str, np.ndarray]) -> None:
    a, b = (arrays.get(f"{prefix}lora_kernel_{part}") for part in "ab")
    if layer is None or not hasattr(layer, "enable_lora"):
        raise ValueError(f"the model has no layer {prefix[:-1]} for LoRA adapters")
    inputs, outputs = layer.kernel.shape
    rank = layer.lora_rank if layer.lora_enabled else None if a is None else a.shape[-1]
    if a is None or b is None or a.shape != (inputs, rank) or b.shape != (rank, outputs):
        shapes = [None if part is None else part.shape for part in (a, b)]
        raise ValueError(
            f"adapters of {prefix[:-1]} must have the shapes {(inputs, rank)} and "
            f"{(rank, outputs)}, got {shapes[0]} and {shapes[1]}"
        )
