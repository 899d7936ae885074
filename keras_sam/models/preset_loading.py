"""`load_preset` and `save_preset`: between models and checkpoints."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_sam.checkpoints.builtin_presets import PresetInfo, builtin_presets
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.fold_batch_norms import fold_batch_norms
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from keras_sam.models.set_trainable import set_trainable
from keras_sam.models.weight_names import weights_by_name

# Which backbone a model class is built from; a class that is missing here is its own.
BACKBONE_OF = {"SAMImageSegmenter": "SAMBackbone"}


class ClassProperty:
    """A property of the class: read without an instance."""

    def __init__(self, read: Callable[[type], Any]) -> None:
        self.read = read

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.read(owner)


def presets_of_class(cls: type) -> dict[str, PresetInfo]:
    """The built-in presets that `cls.from_preset` takes."""
    presets = builtin_presets()
    if cls.__name__ == "Backbone":
        return presets
    wanted = BACKBONE_OF.get(cls.__name__, cls.__name__)
    return {name: info for name, info in presets.items() if info.class_name == wanted}


def load_preset(cls: Any, preset: str | Path, *, load_weights: bool, **kwargs: Any) -> Any:
    """`Backbone.from_preset` for the class `cls`."""
    checkpoint = read_checkpoint(
        preset, load_weights=load_weights, preprocessing=kwargs.pop("preprocessing", None)
    )
    wanted = BACKBONE_OF.get(cls.__name__, cls.__name__)
    if wanted not in ("Backbone", checkpoint.class_name):
        raise ValueError(
            f"preset '{preset}' holds a {checkpoint.class_name}, which {cls.__name__} cannot "
            f"load; use {checkpoint.class_name}.from_preset or Backbone.from_preset"
        )
    if kwargs.pop("fold_batch_norms", False):
        checkpoint = fold_batch_norms(checkpoint)
    image_shape = kwargs.pop("image_shape", None)
    if image_shape is not None:
        checkpoint = resize_position_embeddings(checkpoint, image_shape)
    dtype = kwargs.pop("dtype", None) or checkpoint.config.get("dtype") or None
    is_task = cls.__name__ in BACKBONE_OF
    own = {} if is_task else kwargs
    backbone = checkpoint_to_backbone(checkpoint, dtype=dtype, load_weights=load_weights, **own)
    if not is_task:
        return backbone
    return cls(backbone, **kwargs)


def save_preset(model: Any, preset_dir: str | Path) -> None:
    """`Backbone.save_to_preset`."""
    write_keras_hub(Path(preset_dir), model_to_checkpoint(model), task=hasattr(model, "backbone"))


def model_to_checkpoint(model: Any) -> Checkpoint:
    """The config and the weights of a model, each weight converted when it is read."""
    backbone = getattr(model, "backbone", model)
    return Checkpoint(
        class_name=type(backbone).__name__,
        config=config_to_plain(backbone),
        arrays=ModelWeights(backbone),
        preprocessing=model.preprocessing,
        thresholds=model.thresholds,
        source=model.name,
    )


def checkpoint_to_backbone(
    checkpoint: Checkpoint, *, dtype: Any = None, load_weights: bool = True, **kwargs: Any
) -> Any:
    """The backbone that a checkpoint describes; `kwargs` replace parts of its config."""
    config = dict(checkpoint.config) | kwargs
    if not load_weights:
        backbone = build_backbone(checkpoint.class_name, config, dtype=dtype)
        _tell(backbone, checkpoint)
        return backbone
    # In a stateless scope Keras puts initial values off until its end: random ones are never
    # drawn, and each weight takes memory once, when its array is read.
    first_values = ArrayInitializers(checkpoint.arrays)
    with keras.StatelessScope():
        backbone = build_backbone(checkpoint.class_name, config, dtype=dtype)
        first_values.apply(backbone)
    first_values.raise_error()
    _tell(backbone, checkpoint)
    return backbone


def _tell(backbone: Any, checkpoint: Checkpoint) -> None:
    """What a checkpoint knows beside config and weights."""
    backbone.preprocessing = checkpoint.preprocessing
    backbone.thresholds = checkpoint.thresholds


def build_backbone(class_name: str, config: Mapping[str, Any], *, dtype: Any) -> Any:
    """A model or layer of the given class, with the parts that its config nests."""
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
    """Arrays as the first values of a model's weights, each read when Keras asks for it.

    Args:
        arrays: by the names of `weights_by_name`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._error: Exception | None = None

    def apply(self, model: Any) -> None:
        """Replaces the initializers of a model whose weights have no values yet.

        Raises:
            ValueError: if a name is missing or left over; all are listed.
        """
        weights = weights_by_name(model)
        problems = [f"missing: {name}" for name in weights if name not in self._arrays]
        problems += [f"left over: {name}" for name in self._arrays if name not in weights]
        if problems:
            raise ValueError("the weights do not fit the model: " + "; ".join(problems))
        for name, variable in weights.items():
            variable._initializer = self._initializer(name)

    def raise_error(self) -> None:
        """Raises what went wrong while the values were read."""
        if self._error is not None:
            raise self._error

    def _initializer(self, name: str) -> Callable[..., Any]:
        def read(shape: Any, dtype: Any = None) -> Any:
            # An error here would leave Keras with half a list of weights to initialize.
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
        # A copy of our own: the source may be a mapped file.
        array = np.array(self._arrays[name], dtype=numpy_dtype, order="C")
        if array.shape != tuple(shape):
            raise ValueError(f"weight {name} has shape {array.shape}, expected {tuple(shape)}")
        return array


class ModelWeights(Mapping[str, np.ndarray]):
    """The weights of a model as arrays, each converted when it is read."""

    def __init__(self, model: Any) -> None:
        self._weights = weights_by_name(model)

    def __getitem__(self, name: str) -> np.ndarray:
        return ops.convert_to_numpy(self._weights[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def config_to_plain(layer: Any) -> dict[str, Any]:
    """The constructor's arguments of a model as plain values, its parts nested."""
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
