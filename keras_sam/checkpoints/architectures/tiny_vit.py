"""Shapes of the weights of a `TinyViTBackbone`."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.layer_shapes import (
    Shapes,
    kernel_and_bias,
    layer_norm,
    mlp,
    neck,
    prefixed,
)

PATCH_SIZE = 16  # pixels of an image for a token of its embedding
STAGES = 4


def tiny_vit_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `TinyViTBackbone`."""
    norm, widths = config["use_batch_norm"], config["hidden_sizes"]
    first, depth = widths[0], config["image_shape"][2]
    shapes = conv_norm("patch_embedding/conv1", (3, 3, depth, first // 2), norm)
    shapes |= conv_norm("patch_embedding/conv2", (3, 3, first // 2, first), norm)
    for stage in range(STAGES):
        for index in range(config["depths"][stage]):
            block = _block(config, stage) if stage else _mbconv(config)
            shapes |= prefixed(f"stages_{stage}_blocks_{index}", block)
        if stage < STAGES - 1:
            merging = _three_convolutions(widths[stage], widths[stage + 1], widths[stage + 1], norm)
            shapes |= prefixed(f"stages_{stage}_merging", merging)
    return shapes | neck("neck", widths[-1], config["num_output_channels"])


def conv_norm(name: str, kernel: tuple[int, ...], use_batch_norm: bool) -> Shapes:
    """A convolution and its batch norm, or with a bias instead."""
    return _with_norm(f"{name}/convolution", kernel, kernel[3], use_batch_norm)


def depthwise_conv_norm(name: str, width: int, use_batch_norm: bool) -> Shapes:
    """The same of kernel 3, each channel by itself."""
    return _with_norm(f"{name}/depthwise", (3, 3, width, 1), width, use_batch_norm)


def _with_norm(
    convolution: str, kernel: tuple[int, ...], width: int, use_batch_norm: bool
) -> Shapes:
    shapes: Shapes = {f"{convolution}/kernel": kernel}
    if not use_batch_norm:
        return shapes | {f"{convolution}/bias": (width,)}
    norm = f"{convolution.rpartition('/')[0]}/batch_norm"
    for part in ("gamma", "beta", "moving_mean", "moving_variance"):
        shapes[f"{norm}/{part}"] = (width,)
    return shapes


def _mbconv(config: Mapping[str, Any]) -> Shapes:
    width = config["hidden_sizes"][0]
    wide = width * config["mbconv_expansion"]
    return _three_convolutions(width, wide, width, config["use_batch_norm"])


def _three_convolutions(inputs: int, hidden: int, outputs: int, use_batch_norm: bool) -> Shapes:
    shapes = conv_norm("conv1", (1, 1, inputs, hidden), use_batch_norm)
    shapes |= depthwise_conv_norm("conv2", hidden, use_batch_norm)
    return shapes | conv_norm("conv3", (1, 1, hidden, outputs), use_batch_norm)


def _block(config: Mapping[str, Any], stage: int) -> Shapes:
    width = config["hidden_sizes"][stage]
    heads, window = config["num_heads"][stage - 1], config["window_sizes"][stage - 1]
    shapes: Shapes = {"attention/distance_bias": (heads, window**2)}
    shapes |= layer_norm("attention/layer_norm", width)
    shapes |= kernel_and_bias("attention/qkv", (width, 3 * width))
    shapes |= kernel_and_bias("attention/projection", (width, width))
    shapes |= depthwise_conv_norm("local_conv", width, config["use_batch_norm"])
    shapes |= layer_norm("layer_norm", width)
    return shapes | mlp("mlp", [width, width * config["mlp_ratio"], width])
