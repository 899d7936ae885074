"""`Backbone`: what every model here has: named weights, and presets to load and save."""

from pathlib import Path
from typing import Any, Self

import keras

from keras_sam.checkpoints.preprocessing import parse_preprocessing
from keras_sam.checkpoints.thresholds import parse_thresholds
from keras_sam.models.openvino_precision import float32_inference
from keras_sam.models.preset_loading import (
    ClassProperty,
    load_preset,
    presets_of_class,
    save_preset,
)


class Backbone(keras.Model):
    """Base class of the models, which loads any of them from a preset.

    `Backbone.from_preset` finds the class from the preset's config; a subclass loads only its
    own presets.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self._predicted_form: Any = None
        self._preprocessing = parse_preprocessing(None, source=self.name)
        self._thresholds = parse_thresholds(None, source=self.name)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How images are prepared: the fields of a `keras_sam.transforms.preprocessing.Preprocessing`.

        The image encoder has it, and the models around share it; it is saved with each. SAM's
        unless a preset told otherwise. May be set to "sam", "medsam", fields or a
        `Preprocessing`.
        """
        return dict(_image_model(self)._preprocessing)

    @preprocessing.setter
    def preprocessing(self, value: Any) -> None:
        _image_model(self)._preprocessing = parse_preprocessing(value, source=self.name)

    @property
    def thresholds(self) -> dict[str, float]:
        """Which masks of everything mode are kept: `pred_iou_thresh`, `stability_score_thresh`.

        `SAMMaskGenerator` takes what it is not given from here. Held and saved as
        `preprocessing`; Meta's unless a preset told otherwise.
        """
        return dict(_image_model(self)._thresholds)

    @thresholds.setter
    def thresholds(self, value: Any) -> None:
        _image_model(self)._thresholds = parse_thresholds(value, source=self.name)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.predict`, with a program of its own for each form of prompts."""
        if keras.backend.backend() == "tensorflow" and isinstance(x, dict):
            # TensorFlow would merge prompts of two forms into one program of unknown rank.
            form = {name: tuple(getattr(array, "shape", ())[1:]) for name, array in x.items()}
            if form != self._predicted_form:
                self._predicted_form, self.predict_function = form, None
        return super().predict(x, *args, **kwargs)

    def _get_compiled_model(self, data: Any) -> Any:
        """Keras' hook of the OpenVINO backend: `predict` and `evaluate` compute in float32."""
        with float32_inference():
            return super()._get_compiled_model(data)

    presets = ClassProperty(presets_of_class)

    @classmethod
    def from_preset(cls, preset: str | Path, load_weights: bool = True, **kwargs: Any) -> Self:
        """Builds a model from a preset.

        Args:
            preset: a built-in name (`cls.presets`), `kaggle://user/model/keras/variant`,
                `hf://user/model` with an optional `@revision`, or a directory.
            load_weights: whether to load the weights; otherwise they are random, and a built-in
                preset needs no network.
            **kwargs: `image_shape` for another image size, to which position tables are
                interpolated; `dtype`; `fold_batch_norms=True` to make batch norms, where the
                model has some, part of its convolutions; `preprocessing`, "sam" or "medsam", for
                files that do not tell; `name`; other arguments of the class.

        Raises:
            ValueError: if the preset is of another class, or is unknown or damaged; the message
                names what was found and what was expected.
        """
        return load_preset(cls, preset, load_weights=load_weights, **kwargs)

    def save_to_preset(self, preset_dir: str | Path) -> None:
        """Saves the model as a preset directory, in the format of keras-hub.

        The directory is written beside its place and renamed: a crash leaves an old preset
        whole.

        Args:
            preset_dir: path of the directory; an old preset there is replaced.
        """
        save_preset(self, preset_dir)


def _image_model(model: Any) -> Any:
    """The image encoder in a model. No property: Keras saves what properties return, again."""
    backbone = getattr(model, "backbone", model)
    return getattr(backbone, "image_encoder", backbone)
