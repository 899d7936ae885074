"""`fold_batch_norms`: a checkpoint whose batch norms are part of its convolutions."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint, CheckpointError

EPSILON = 1e-5  # of every batch norm here, as of PyTorch's


def fold_batch_norms(checkpoint: Checkpoint) -> Checkpoint:
    """The same model for inference, faster: convolutions with a bias and no batch norms.

    A norm by the statistics of training is a product and a sum for each channel, which the
    convolution before it takes over: `kernel * scale` and `beta - moving_mean * scale`, with
    `scale = gamma / sqrt(moving_variance + 1e-5)`. Computed in float64, and kept in the types
    that were stored.

    Args:
        checkpoint: with or without arrays, of a model with batch norms.

    Raises:
        CheckpointError: if the model has no batch norms.
    """
    config = copy.deepcopy(checkpoint.config)
    is_backbone = checkpoint.class_name == "SAMBackbone"
    encoder = config["image_encoder"]["config"] if is_backbone else config
    if not encoder.get("use_batch_norm", False):
        raise CheckpointError(f"'{checkpoint.source}' has no batch norms to fold")
    encoder["use_batch_norm"] = False
    shapes = expected_shapes(checkpoint.class_name, config)
    names = checkpoint.tensor_names
    arrays: Mapping[str, np.ndarray] = checkpoint.arrays
    if arrays:
        arrays = FoldedArrays(arrays, shapes)
    return replace(
        checkpoint,
        config=config,
        arrays=arrays,
        tensor_names={name: names[name] for name in shapes if name in names},
    )


class FoldedArrays(Mapping[str, np.ndarray]):
    """Arrays of which kernels and biases are folded with their batch norm when they are read."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._arrays = arrays
        self._shapes = shapes

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._shapes:
            raise KeyError(name)
        convolution, _, last = name.rpartition("/")
        layer, _, kind = convolution.rpartition("/")
        norm = f"{layer}/batch_norm"
        if f"{norm}/gamma" not in self._arrays:
            return self._arrays[name]
        gamma, beta, mean, variance = (
            self._arrays[f"{norm}/{part}"].astype("float64")
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        if last == "bias":
            return (beta - mean * scale).astype(self._arrays[f"{norm}/beta"].dtype)
        kernel = self._arrays[name]
        # A depthwise kernel is (height, width, channels, 1), others (height, width, in, out).
        scale = scale[:, None] if kind == "depthwise" else scale
        return (kernel.astype("float64") * scale).astype(kernel.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
