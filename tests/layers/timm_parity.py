"""Comparison of layers of TinyViT with timm's outputs, recorded in tests/timm_1_0_31."""

from functools import cache
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_sam.models.weight_names import weights_by_name
from tests.layers.numpy_reference import assert_close

RECORD = Path(__file__).parent.parent / "timm_1_0_31" / "outputs.npz"
TIMM_NAMES = {
    "/": ".",
    "depthwise.": "conv.",
    "convolution.": "conv.",
    "batch_norm.": "bn.",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "attention.distance_bias": "attn.attention_biases",
    "attention.": "attn.",
    "attn.layer_norm.": "attn.norm.",
    "layer_norm.": "mlp.norm.",
    "projection.": "proj.",
    "dense1.": "fc1.",
    "dense2.": "fc2.",
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
}


def assert_equals_timm(layer: keras.layers.Layer, part: str) -> None:
    """Assign timm's weights of a recorded part to a layer, and compare the outputs."""
    arrays = {
        name.removeprefix(f"{part}/"): array
        for name, array in recorded_arrays().items()
        if name.startswith(f"{part}/")
    }
    inputs, expected = arrays.pop("input"), arrays.pop("output")
    layer.build((None, *inputs.shape[1:]))
    for name, weight in weights_by_name(layer).items():
        weight.assign(to_our_layout(name, arrays.pop(f"weights/{timm_name(name)}")))
    assert not arrays
    assert_close(layer(ops.convert_to_tensor(inputs)), expected)


@cache
def recorded_arrays() -> dict[str, np.ndarray]:
    with np.load(RECORD) as arrays:
        return dict(arrays)


def timm_name(name: str) -> str:
    for ours, theirs in TIMM_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def to_our_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))
    return tensor.T if name.endswith("kernel") else tensor
