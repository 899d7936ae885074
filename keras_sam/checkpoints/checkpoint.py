"""`Checkpoint`: the contents of a preset, in any format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_sam.transforms.inference_config import InferenceConfig


@dataclass(frozen=True)
class Checkpoint:
    """The config and the weights of a model, under the names that the Keras models use.

    Attributes:
        class_name: Class of the model: `SAMBackbone`, or that of an image encoder alone.
        config: Constructor arguments as plain values. Parts are nested as
            `{"class_name": ..., "config": ...}`, and `dtype` is the name of a policy.
        arrays: Weights by name, in the layout of Keras. Dense kernels are `(in, out)`, kernels of
            convolutions `(height, width, in, out)`, and those of transposed convolutions
            `(height, width, out, in)`. Arrays from a file are read when they are used. Empty if
            no weights were loaded.
        inference_config: Inference settings that belong to the weights. `None` stands for SAM's.
        source: Name of what was read, for error messages.
        format: Name of the format that was read, a key of `CHECKPOINT_FORMATS`. Empty for a model
            in memory.
        tensor_names: Name of each weight in the file that was read.
        unused_tensors: Sorted names of tensors in the file that the model does not use.
    """

    class_name: str
    config: dict[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    inference_config: InferenceConfig | None = None
    source: str = ""
    format: str = ""
    tensor_names: Mapping[str, str] = field(default_factory=dict)
    unused_tensors: tuple[str, ...] = ()
