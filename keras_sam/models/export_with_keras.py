"""`export_with_keras`: a segmenter exported by `keras.Model.export`."""

from pathlib import Path
from typing import Any

import keras

from keras_sam.layers.export_mode import export_mode

NUM_POINTS = 8  # per prompt, in files with static shapes
# Formats of Keras (3.15) that fail on a backend, with those to use instead.
ALTERNATIVES = {
    ("torch", "tf_saved_model"): "format 'torch', or the backend tensorflow or jax",
    ("jax", "openvino"): "the backend openvino, tensorflow or torch",
}


def export_with_keras(
    model: keras.Model, filepath: str | Path, image_shape: tuple[int, int, int], **kwargs: Any
) -> None:
    """Export a segmenter by `keras.Model.export`, with named inputs.

    Args:
        model: Segmenter.
        filepath: Path of the file or directory.
        image_shape: `(height, width, 3)` of the images.
        **kwargs: Other arguments of `keras.Model.export`. `input_signature` defaults to
            `export_signature`.

    Raises:
        ValueError: If Keras cannot export the format from the backend.
    """
    backend, format = keras.backend.backend(), kwargs["format"]
    if (backend, format) in ALTERNATIVES:
        raise ValueError(
            f"Keras cannot export format '{format}' from the backend {backend}; use "
            f"{ALTERNATIVES[backend, format]}"
        )
    if kwargs["input_signature"] is None:
        kwargs["input_signature"] = export_signature(image_shape)
    with export_mode():
        if keras.backend.backend() == "torch":
            _export_with_torch(model, filepath, **kwargs)
        else:
            keras.Model.export(model, str(filepath), **kwargs)


def export_signature(image_shape: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Return the inputs of an exported segmenter: images, and points with labels.

    Boxes are points with the labels 2 and 3, and missing points have the label -10. With
    TensorFlow, the numbers of images, prompts and points are dynamic. With other backends, they
    are one image, one prompt and eight points, since Keras gives each dynamic axis a size of its
    own there.

    Args:
        image_shape: `(height, width, 3)` of the images.

    Returns:
        The argument `input_signature` of `keras.Model.export`.
    """
    is_dynamic = keras.backend.backend() == "tensorflow"
    images, prompts, points = (None, None, None) if is_dynamic else (1, 1, NUM_POINTS)
    specs = {
        "images": ((images, *image_shape), "float32"),
        "points": ((images, prompts, points, 2), "float32"),
        "labels": ((images, prompts, points), "int32"),
    }
    return [
        {
            name: keras.layers.InputSpec(dtype=dtype, shape=shape, name=name)
            for name, (shape, dtype) in specs.items()
        }
    ]


def _export_with_torch(model: keras.Model, filepath: str | Path, **kwargs: Any) -> None:
    import torch

    with torch.no_grad():  # gradients would be parts of the graph
        keras.Model.export(_TupleModel(model), str(filepath), **kwargs)


class _TupleModel(keras.Model):
    """A model with a tuple of outputs, since PyTorch's tracer rejects dictionaries."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model
        self.built = True

    def call(self, inputs: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.model(inputs).values())
