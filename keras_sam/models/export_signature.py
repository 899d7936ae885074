"""`export_signature`: the inputs of a segmenter that Keras exports."""

from typing import Any

import keras


def export_signature(image_shape: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Return the named inputs of an exported segmenter: images, and points with labels.

    Boxes are points with the labels 2 and 3. Numbers of images, prompts and points are dynamic
    where the exporter of the backend has dynamic shapes, and 1 elsewhere.

    Args:
        image_shape: `(height, width, 3)` of the images.

    Returns:
        The argument `input_signature` of `keras.Model.export`.
    """
    shapes = {
        "images": ((None, *image_shape), "float32"),
        "points": ((None, None, None, 2), "float32"),
        "labels": ((None, None, None), "int32"),
    }
    return [
        {
            name: keras.layers.InputSpec(dtype=dtype, shape=shape, name=name)
            for name, (shape, dtype) in shapes.items()
        }
    ]
