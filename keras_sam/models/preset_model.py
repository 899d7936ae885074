"""`PresetModel`: a Keras model that loads from presets and saves to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from keras_sam.models.error_safe_model import ErrorSafeModel
from keras_sam.models.preset_loading import (
    ClassProperty,
    load_preset,
    presets_of_class,
    save_preset,
)
from keras_sam.transforms.inference_config import InferenceConfig, parse_inference_config


class PresetModel(ErrorSafeModel):
    """Base class of the backbones and of the segmenter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._predicted_shapes: Any = None
        self._inference_config = InferenceConfig()

    presets = ClassProperty(presets_of_class)
    """Built-in presets that the class loads, by name."""

    @classmethod
    def from_preset(cls, preset: str | Path, load_weights: bool = True, **kwargs: Any) -> Self:
        """Build a model from a preset.

        Args:
            preset: A built-in name (`cls.presets`), `kaggle://user/model/keras/variant`,
                `hf://user/model` with an optional `@revision`, a directory, or a file with
                Meta's tensor names.
            load_weights: If False, the weights are random, and a built-in preset needs no
                network.
            **kwargs: `image_shape` for another image size, to which position embeddings are
                interpolated; `dtype`; `fold_batch_norms=True` to fold batch norms into the
                convolutions before them; `inference_config` ("sam", "medsam", or an
                `InferenceConfig`) for files that do not contain one; `name`; and other
                arguments of the class.

        Returns:
            The model.

        Raises:
            CheckpointError: If the preset is unknown or damaged.
            ValueError: If the preset contains another class.
        """
        return load_preset(cls, preset, load_weights=load_weights, **kwargs)

    def save_to_preset(self, preset_dir: str | Path) -> None:
        """Save the model as a preset directory, in the format of keras-hub.

        The directory is written to a temporary path and renamed when complete.

        Args:
            preset_dir: Path of the directory. An existing preset is replaced.

        Raises:
            CheckpointError: If the directory contains something else than a preset.
        """
        save_preset(self, preset_dir)

    @property
    def inference_config(self) -> InferenceConfig:
        """Settings that belong to the weights: preprocessing, thresholds and the like.

        The image encoder stores them, and the models around it share them. Presets contain
        them. May be set to any value that `parse_inference_config` accepts.
        """
        return _image_encoder(self)._inference_config

    @inference_config.setter
    def inference_config(self, value: Any) -> None:
        _image_encoder(self)._inference_config = parse_inference_config(value)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.predict`, with one program per combination of input shapes."""
        if isinstance(x, dict):
            self._start_program_for(x)
        return super().predict(x, *args, **kwargs)

    def _start_program_for(self, inputs: dict[str, Any] | None) -> None:
        """Drop the program of `predict` if it was for other shapes than those of the inputs.

        TensorFlow would merge prompts of two shapes into one program of unknown rank.

        Args:
            inputs: Named arrays with a batch axis, or `None` if the shapes are unknown.
        """
        if keras.backend.backend() != "tensorflow":
            return
        shapes = inputs and {
            name: np.shape(array)[1:] for name, array in inputs.items() if array is not None
        }
        if shapes is None or shapes != self._predicted_shapes:
            self._predicted_shapes, self.predict_function = shapes, None

    def _get_compiled_model(self, data: Any) -> Any:
        """Keras' hook of the OpenVINO backend: `predict` and `evaluate` compute in float32."""
        with _openvino_float32():
            return super()._get_compiled_model(data)


def _image_encoder(model: Any) -> Any:
    """Return a model's image encoder, or the model itself.

    Not a property: Keras saves the layers that properties return a second time.
    """
    backbone = getattr(model, "backbone", model)
    return getattr(backbone, "image_encoder", backbone)


@contextmanager
def _openvino_float32() -> Iterator[None]:
    """Compile OpenVINO programs in float32 within the context.

    On a CPU with bfloat16 instructions, OpenVINO would use them by default, and Keras has no
    option for another precision.
    """
    from unittest.mock import patch

    import openvino

    compile_model = openvino.compile_model

    def compile_in_float32(model: Any, device: str = "CPU", config: Any = None) -> Any:
        hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
        return compile_model(model, device, hint | (config or {}))

    with patch.object(openvino, "compile_model", compile_in_float32):
        yield
