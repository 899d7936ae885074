"""`load_preset` and `save_preset`: between models and checkpoints."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.checkpoints.builtin_presets import PresetInfo, builtin_presets
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.keras_hub.preset import write_keras_hub
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.weight_names import layers_by_prefix, weights_by_name

# Backbone class of each task class.
BACKBONE_OF_TASK = {"SAMImageSegmenter": "SAMBackbone"}


class ClassProperty:
    """A read-only property of a class, not of its instances."""

    def __init__(self, read: Callable[[type], Any]) -> None:
        self.read = read

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.read(owner)


def presets_of_class(cls: type) -> dict[str, PresetInfo]:
    """Return the built-in presets that `cls.from_preset` loads."""
    presets = builtin_presets()
    if cls.__name__ in ("Backbone", "PresetModel"):
        return presets
    class_name = BACKBONE_OF_TASK.get(cls.__name__, cls.__name__)
    return {name: info for name, info in presets.items() if info.class_name == class_name}


def load_preset(cls: Any, preset: str | Path, *, load_weights: bool, **kwargs: Any) -> Any:
    """Load a preset as the class `cls`; see `PresetModel.from_preset`."""
    checkpoint = read_checkpoint(
        preset, load_weights=load_weights, inference_config=kwargs.pop("inference_config", None)
    )
    expected = BACKBONE_OF_TASK.get(cls.__name__, cls.__name__)
    if expected not in ("Backbone", checkpoint.class_name):
        raise ValueError(
            f"preset '{preset}' contains a {checkpoint.class_name}, which {cls.__name__} cannot "
            f"load; use {checkpoint.class_name}.from_preset or Backbone.from_preset"
        )
    if kwargs.pop("fold_batch_norms", False):
        checkpoint = fold_batch_norms(checkpoint)
    image_shape = kwargs.pop("image_shape", None)
    if image_shape is not None:
        checkpoint = resize_position_embeddings(checkpoint, image_shape)
    dtype = kwargs.pop("dtype", None) or checkpoint.config.get("dtype") or None
    is_task = cls.__name__ in BACKBONE_OF_TASK
    backbone_kwargs = {} if is_task else kwargs
    backbone = checkpoint_to_backbone(
        checkpoint, dtype=dtype, load_weights=load_weights, **backbone_kwargs
    )
    return cls.from_backbone(backbone, **kwargs) if is_task else backbone


def save_preset(model: Any, preset_dir: str | Path) -> None:
    """Save a model as a preset; see `PresetModel.save_to_preset`."""
    is_task = hasattr(model, "backbone")
    write_keras_hub(Path(preset_dir), model_to_checkpoint(model), task=is_task)


def model_to_checkpoint(model: Any) -> Checkpoint:
    """Return the config and the weights of a model. Each weight is converted when it is read."""
    backbone = getattr(model, "backbone", model)
    return Checkpoint(
        class_name=type(backbone).__name__,
        config=config_to_plain(backbone),
        arrays=ModelWeights(backbone),
        inference_config=model.inference_config,
        source=model.name,
    )


def checkpoint_to_backbone(
    checkpoint: Checkpoint, *, dtype: Any = None, load_weights: bool = True, **kwargs: Any
) -> Any:
    """Build the backbone that a checkpoint describes.

    Args:
        checkpoint: Config, and arrays unless `load_weights` is False.
        dtype: Keras dtype policy of the backbone.
        load_weights: If False, the weights are random.
        **kwargs: Replacements for entries of the config.
    """
    config = dict(checkpoint.config) | kwargs
    if load_weights:
        # In a stateless scope, Keras defers initial values to the end of the scope. Random ones
        # are never drawn, and each weight takes memory once, when its array is read.
        initializers = ArrayInitializers(checkpoint.arrays)
        with keras.StatelessScope():
            backbone = build_backbone(checkpoint.class_name, config, dtype=dtype)
            initializers.apply(backbone)
        initializers.raise_error()
    else:
        backbone = build_backbone(checkpoint.class_name, config, dtype=dtype)
    backbone.inference_config = checkpoint.inference_config
    return backbone


def build_backbone(class_name: str, config: Mapping[str, Any], *, dtype: Any) -> Any:
    """Build a model or layer of a class, with the parts that are nested in its config."""
    arguments = {}
    for name, value in config.items():
        if isinstance(value, dict) and "class_name" in value and "config" in value:
            value = build_backbone(value["class_name"], value["config"], dtype=dtype)
        arguments[name] = value
    cls = keras.saving.get_registered_object(f"keras_sam>{class_name}")
    if cls is None:
        raise ValueError(f"no class {class_name} in keras_sam")
    model = cls(**(arguments | {"dtype": dtype}))
    if not config.get("trainable", True):
        set_trainable(model, False)
    return model


class ArrayInitializers:
    """Initializers that read a model's weights from arrays, each when Keras needs it.

    Args:
        arrays: Arrays under the names of `weights_by_name`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._error: Exception | None = None

    def apply(self, model: Any) -> None:
        """Replace the initializers of a model whose weights have no values yet.

        Raises:
            ValueError: If a name is missing or unexpected. The message lists all of them.
        """
        weights = weights_by_name(model)
        problems = [f"missing: {name}" for name in weights if name not in self._arrays]
        problems += [f"unexpected: {name}" for name in self._arrays if name not in weights]
        if problems:
            raise ValueError("the weights do not fit the model: " + "; ".join(problems))
        for name, variable in weights.items():
            variable._initializer = self._initializer(name)

    def raise_error(self) -> None:
        """Raise the first error that occurred while arrays were read, if any."""
        if self._error is not None:
            raise self._error

    def _initializer(self, name: str) -> Callable[..., Any]:
        def read(shape: Any, dtype: Any = None) -> Any:
            # An error here would leave Keras with a half-initialized list of weights.
            if self._error is None:
                try:
                    return ops.convert_to_tensor(self._read(name, shape, dtype), dtype=dtype)
                except Exception as error:
                    self._error = error
            return ops.zeros(shape, dtype=dtype)

        return read

    def _read(self, name: str, shape: Any, dtype: Any) -> np.ndarray:
        # JAX would compile a conversion for each shape.
        numpy_dtype = dtype if dtype in ("float32", "float16") else None
        # Copied, since the source may be a memory-mapped file.
        array = np.array(self._arrays[name], dtype=numpy_dtype, order="C")
        if array.shape != tuple(shape):
            raise ValueError(f"weight {name} has shape {array.shape}, expected {tuple(shape)}")
        return array


class ModelWeights(Mapping[str, np.ndarray]):
    """The weights of a model as arrays, each converted when it is read.

    LoRA adapters are merged into their kernels.

    Args:
        model: Built model.

    Raises:
        ValueError: If the model is quantized.
    """

    def __init__(self, model: Any) -> None:
        self._weights: dict[str, Any] = weights_by_name(model)
        for prefix, layer in layers_by_prefix(model).items():
            if getattr(layer, "quantization_mode", None) is not None:
                raise ValueError(
                    "a quantized model cannot be saved as a preset or resized; do this before "
                    "quantize, or save it with save('model.keras')"
                )
            if getattr(layer, "lora_enabled", False):
                del self._weights[prefix + "lora_kernel_a"]
                del self._weights[prefix + "lora_kernel_b"]
                self._weights[prefix + "kernel"] = _LoraKernel(layer)

    def __getitem__(self, name: str) -> np.ndarray:
        weight = self._weights[name]
        return ops.convert_to_numpy(weight.merge() if isinstance(weight, _LoraKernel) else weight)

    def __contains__(self, name: object) -> bool:
        return name in self._weights  # the method of `Mapping` would convert the weight

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


@dataclass(frozen=True)
class _LoraKernel:
    """The kernel of a layer with LoRA adapters."""

    layer: Any

    def merge(self) -> Any:
        return ops.cast(self.layer.kernel, self.layer.variable_dtype)


def config_to_plain(layer: Any) -> dict[str, Any]:
    """Return the constructor's arguments of a model as plain values, its parts nested."""
    config = {}
    for name, value in layer.get_config().items():
        part = getattr(layer, name, None)
        if name == "dtype":
            value = layer.dtype_policy.name
        elif isinstance(part, keras.layers.Layer):
            value = {"class_name": type(part).__name__, "config": config_to_plain(part)}
        elif isinstance(value, list | tuple):
            value = [*value]  # Keras' own lists refer back to the layer
        config[name] = value
    return config
