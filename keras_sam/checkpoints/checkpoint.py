"""`Checkpoint`: what a preset holds, whatever format it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the message is one sentence for the user."""


@dataclass(frozen=True)
class Checkpoint:
    """A config and arrays under the names that the models use.

    Attributes:
        class_name: `SAMBackbone`, or of its image encoder alone.
        config: the constructor's arguments as plain values. A part is nested as
            `{"class_name": ..., "config": ...}`; `dtype` is the name of a policy.
        arrays: name to array, in the layout of Keras: dense kernels `(in, out)`, kernels of
            convolutions `(height, width, in, out)`, of transposed ones `(height, width, out,
            in)`. Read when asked for. Empty when no weights were asked for.
        preprocessing: how images are prepared, as `parse_preprocessing` gives it; `None` if it is
            not told.
        source: what was read, for messages.
        format: "keras", "transformers" or "meta"; empty for a model in memory.
        tensor_names: name to the tensor's name in the file that was read.
        unused_tensors: tensors of the file that the model does not use, sorted.
        thresholds: of everything mode, as `parse_thresholds` gives them; `None` if not told.
    """

    class_name: str
    config: dict[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    preprocessing: dict[str, Any] | None = None
    source: str = ""
    format: str = ""
    tensor_names: Mapping[str, str] = field(default_factory=dict)
    unused_tensors: tuple[str, ...] = ()
    thresholds: dict[str, float] | None = None
