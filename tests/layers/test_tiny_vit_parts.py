"""The parts of TinyViT give the numbers of timm, recorded in tests/timm_1_0_31."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.layers.conv_norm import ConvNorm
from keras_sam.layers.convolutional_stem import ConvolutionalStem
from keras_sam.layers.mbconv import MBConv
from keras_sam.layers.patch_merging import PatchMerging
from keras_sam.layers.tiny_vit_block import TinyViTBlock
from keras_sam.models.weight_names import weights_by_name
from tests.precision import in_float32

BLOCK = {"num_heads": 3, "intermediate_dim": 24, "hidden_size": 12, "window_size": 4}
LAYERS = {
    "conv_norm": lambda: ConvNorm(10, 3, strides=2),
    "stem": lambda: ConvolutionalStem(8),
    "mbconv": lambda: MBConv(8),
    "merging": lambda: PatchMerging(12),
    "merging_of_stride_1": lambda: PatchMerging(12, strides=1),
    "block_of_one_window": lambda: TinyViTBlock(**BLOCK),
    "block_of_padded_windows": lambda: TinyViTBlock(**BLOCK),
}
THEIR_NAMES = {
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


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).parent.parent / "timm_1_0_31" / "outputs.npz") as stored:
        return dict(stored)


def their_name(name: str) -> str:
    for ours, theirs in THEIR_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def in_our_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))
    return tensor.T if name.endswith("kernel") else tensor


@pytest.mark.parametrize("part", LAYERS)
def test_parity_with_timm(recorded, part):
    layer = LAYERS[part]()
    layer.build((None, *recorded[f"{part}/input"].shape[1:]))
    prefix = f"{part}/weights/"
    tensors = {
        name.removeprefix(prefix): array
        for name, array in recorded.items()
        if name.startswith(prefix)
    }
    for name, weight in weights_by_name(layer).items():
        weight.assign(in_our_layout(name, tensors.pop(their_name(name))))
    assert not tensors
    with in_float32():
        found = keras.Sequential([layer]).predict(recorded[f"{part}/input"], verbose=0)
    np.testing.assert_allclose(found, recorded[f"{part}/output"], rtol=1e-4, atol=1e-5)


@pytest.mark.training
def test_training_takes_the_statistics_of_the_batch():
    """And learns a tenth of them, as PyTorch does by default."""
    layer = ConvNorm(2)
    layer.build((None, 3, 4, 2))
    layer.convolution.kernel.assign(np.eye(2, dtype="float32")[None, None])
    grid = np.random.default_rng(0).normal(1.0, 2.0, (2, 3, 4, 2)).astype("float32")
    mean, variance = grid.mean((0, 1, 2)), grid.var((0, 1, 2))
    found = ops.convert_to_numpy(layer(grid, training=True))
    np.testing.assert_allclose(found, (grid - mean) / np.sqrt(variance + 1e-5), atol=1e-4)
    learned = ops.convert_to_numpy(layer.batch_norm.moving_mean)
    np.testing.assert_allclose(learned, 0.1 * mean, atol=1e-5)
