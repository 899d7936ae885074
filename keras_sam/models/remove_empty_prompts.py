"""`remove_empty_prompts`: model inputs without prompts of length zero."""

from typing import Any

import numpy as np

from keras_sam.layers.prompts import resolve_prompts
from keras_sam.models.sam_backbone import check_inputs
from keras_sam.point_labels import PADDING


def remove_empty_prompts(inputs: Any) -> Any:
    """Check prompts and drop those of length zero.

    A program that is compiled for any length could not distinguish them. Points `(B, 0, 2)` and
    `(B, P, 0, 2)` become one padding point, since they also determine the shape of the results.

    Args:
        inputs: Dictionary of model inputs. Other values are returned unchanged.

    Raises:
        ValueError: If `resolve_prompts` refuses the prompts.
    """
    if not isinstance(inputs, dict):
        return inputs
    inputs = {name: x for name, x in check_inputs(inputs).items() if x is not None}
    if not all(hasattr(x, "shape") for x in inputs.values()):
        return inputs
    resolve_prompts(**inputs)
    kept = {name: x for name, x in inputs.items() if name == "images" or 0 not in x.shape[1:]}
    points = inputs.get("points")
    if points is not None and points.shape[-2] == 0 and 0 not in points.shape[:-2]:
        shape = (*points.shape[:-2], 1)
        kept["points"] = np.zeros((*shape, 2), "float32")
        kept["labels"] = np.full(shape, PADDING, "int32")
    return kept
