"""`SegmentationLoss`: the interface of the objectives that train a `SAMImageSegmenter`."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import keras


class LossResult(NamedTuple):
    """The loss of a batch, and one prediction per target mask for metrics.

    `target`, `prediction` and `valid` are `None` for objectives that predict no masks.

    Attributes:
        loss: Scalar, float32.
        target: Ground-truth masks `(B, P, L, L)`, float32, 0 or 1.
        prediction: Foreground probabilities `(B, P, L, L)`, float32, in [0, 1].
        valid: `(B, P)`, float32: 1 for masks, 0 for padding masks. A sample weight of metrics.
    """

    loss: Any
    target: Any = None
    prediction: Any = None
    valid: Any = None


class SegmentationLoss(keras.layers.Layer, ABC):
    """Base class of the objectives for `SAMImageSegmenter.compile(loss=...)`.

    An objective makes its own prompts, so it takes the segmenter instead of its outputs. It is a
    layer so that Keras tracks its metrics and random seeds.
    """

    @abstractmethod
    def compute(
        self, segmenter: Any, x: Any, y: Any, y_pred: Any, *, training: bool = True
    ) -> LossResult:
        """Compute the loss of a batch and the masks that metrics compare.

        Args:
            segmenter: `SAMImageSegmenter` to train.
            x: Inputs of the segmenter. Only `images` is used.
            y: Targets `{"masks": (B, P, H, W)}`.
            y_pred: Outputs of the segmenter. If they contain the image embedding, it is used;
                otherwise, the images are encoded.
            training: If True, the images are encoded in training mode.
        """

    def _image_embedding(
        self, segmenter: Any, x: Any, y_pred: Any, *, training: bool
    ) -> dict[str, Any]:
        """Return the named arrays of a batch's embedding; arguments as in `compute`."""
        names = segmenter.embedding_names
        if isinstance(y_pred, dict) and set(names) <= set(y_pred):
            return {name: y_pred[name] for name in names}
        return segmenter.encode_image(x["images"], training=training)
