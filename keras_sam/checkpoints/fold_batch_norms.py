"""`fold_batch_norms`: a model without batch norms that computes the same."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from keras_sam.checkpoints.architectures.sam import expected_shapes, image_encoder_part
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.lazy_arrays import LazyArrays
from keras_sam.errors import CheckpointError

EPSILON = 1e-5  # of every batch norm here, as in PyTorch


def fold_batch_norms(checkpoint: Checkpoint) -> Checkpoint:
    """Fold batch norms into the convolutions before them, for faster inference.

    With fixed statistics, a batch norm multiplies each channel by a scale and adds a constant.
    The convolution takes over both: its kernel becomes `kernel * scale` and its bias
    `beta - moving_mean * scale`, where `scale = gamma / sqrt(moving_variance + 1e-5)`. This is
    computed in float64, and results have the types of the stored arrays.

    Args:
        checkpoint: Checkpoint, with or without arrays, of a model with batch norms.

    Raises:
        CheckpointError: If the model has no batch norms.
    """
    config = copy.deepcopy(checkpoint.config)
    _, encoder = image_encoder_part(checkpoint.class_name, config)
    if not encoder.get("use_batch_norm", False):
        raise CheckpointError(f"'{checkpoint.source}' has no batch norms to fold")
    encoder["use_batch_norm"] = False
    shapes = expected_shapes(checkpoint.class_name, config)
    stored, names = checkpoint.arrays, checkpoint.tensor_names
    arrays: Mapping[str, np.ndarray] = stored
    if stored:
        arrays = LazyArrays(shapes, lambda name: _folded(name, stored))
    return replace(
        checkpoint,
        config=config,
        arrays=arrays,
        tensor_names={name: names[name] for name in shapes if name in names},
    )


def _folded(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a weight of the folded model from the arrays of the original one."""
    convolution, _, variable = name.rpartition("/")
    layer, _, kind = convolution.rpartition("/")
    norm = f"{layer}/batch_norm"
    if f"{norm}/gamma" not in arrays:
        return arrays[name]
    gamma, beta, mean, variance = (
        arrays[f"{norm}/{part}"].astype("float64")
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    if variable == "bias":
        return (beta - mean * scale).astype(arrays[f"{norm}/beta"].dtype)
    kernel = arrays[name]
    # A depthwise kernel is (height, width, channels, 1), others are (height, width, in, out).
    scale = scale[:, None] if kind == "depthwise" else scale
    return (kernel.astype("float64") * scale).astype(kernel.dtype)
