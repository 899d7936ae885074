"""`TINY_VIT`: the image encoder of MobileSAM, TinySAM and Light HQ-SAM."""

import math
import re
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.argument import (
    MAX_LAYERS,
    SIZE,
    Argument,
    integers,
    is_bool,
)
from keras_sam.checkpoints.architectures.image_encoder import (
    ImageEncoderFormat,
    KerasHubEncoder,
    MetaEncoder,
)
from keras_sam.checkpoints.architectures.layer_names import (
    NECK,
    keras_variable,
    split_name,
    torch_tensor,
)
from keras_sam.checkpoints.architectures.layer_shapes import (
    Shapes,
    kernel_and_bias,
    layer_norm,
    mlp,
    neck,
    prefixed,
)
from keras_sam.checkpoints.architectures.tensor_shapes import TensorShapes

STAGES = 4
ARGUMENTS = {
    "hidden_sizes": Argument(integers(4), [64, 128, 160, 320]),
    "depths": Argument(integers(4, MAX_LAYERS), [2, 2, 6, 2]),
    "num_heads": Argument(integers(3), [4, 5, 10]),
    "window_sizes": Argument(integers(3), [7, 14, 7]),
    "mlp_ratio": Argument(SIZE, 4),
    "mbconv_expansion": Argument(SIZE, 4),
    "image_shape": Argument(integers(3), [1024, 1024, 3]),
    "num_output_channels": Argument(SIZE, 256),
    "use_batch_norm": Argument(is_bool, True),
    "output_early_feature": Argument(is_bool, False),
}
# The image size of every MobileSAM. It has no table whose shape depends on it.
META_IMAGE_SHAPE = [1024, 1024, 3]
META_BLOCK = "image_encoder.layers.{}.blocks.0."  # the first block of a stage
META_STEM = {"conv1": "patch_embed.seq.0", "conv2": "patch_embed.seq.2"}
META_SEGMENTS = {
    "attention": "attn",
    "distance_bias": "attention_biases",
    "layer_norm": "norm",
    "projection": "proj",
    "dense1": "fc1",
    "dense2": "fc2",
    "convolution": "c",
    "depthwise": "c",
    "batch_norm": "bn",
}
# A classifier of ImageNet, counters of training, and tables of indices that follow from the
# window sizes.
META_IGNORED = re.compile(
    r"image_encoder\.(norm_head|head)\.(weight|bias)"
    r"|image_encoder\.(patch_embed|layers)\..*\.bn\.num_batches_tracked"
    r"|image_encoder\.layers\.\d+\.blocks\.\d+\.attn\.attention_bias_idxs"
)


def weight_shapes(config: Mapping[str, Any]) -> Shapes:
    """Return the shape of each weight of a `TinyViTBackbone`."""
    norm, widths = config["use_batch_norm"], config["hidden_sizes"]
    first, channels = widths[0], config["image_shape"][2]
    shapes = _convolution("patch_embedding/conv1", (3, 3, channels, first // 2), norm)
    shapes |= _convolution("patch_embedding/conv2", (3, 3, first // 2, first), norm)
    for stage in range(STAGES):
        for index in range(config["depths"][stage]):
            block = _block(config, stage) if stage else _mbconv(config)
            shapes |= prefixed(f"stages_{stage}_blocks_{index}", block)
        if stage < STAGES - 1:
            merging = _three_convolutions(widths[stage], widths[stage + 1], widths[stage + 1], norm)
            shapes |= prefixed(f"stages_{stage}_merging", merging)
    return shapes | neck("neck", widths[-1], config["num_output_channels"])


def _mbconv(config: Mapping[str, Any]) -> Shapes:
    width = config["hidden_sizes"][0]
    expanded = width * config["mbconv_expansion"]
    return _three_convolutions(width, expanded, width, config["use_batch_norm"])


def _three_convolutions(inputs: int, hidden: int, outputs: int, use_batch_norm: bool) -> Shapes:
    shapes = _convolution("conv1", (1, 1, inputs, hidden), use_batch_norm)
    shapes |= _depthwise("conv2", hidden, use_batch_norm)
    return shapes | _convolution("conv3", (1, 1, hidden, outputs), use_batch_norm)


def _block(config: Mapping[str, Any], stage: int) -> Shapes:
    width = config["hidden_sizes"][stage]
    heads, window = config["num_heads"][stage - 1], config["window_sizes"][stage - 1]
    shapes: Shapes = {"attention/distance_bias": (heads, window**2)}
    shapes |= layer_norm("attention/layer_norm", width)
    shapes |= kernel_and_bias("attention/qkv", (width, 3 * width))
    shapes |= kernel_and_bias("attention/projection", (width, width))
    shapes |= _depthwise("local_conv", width, config["use_batch_norm"])
    shapes |= layer_norm("layer_norm", width)
    return shapes | mlp("mlp", [width, width * config["mlp_ratio"], width])


def _convolution(name: str, kernel: tuple[int, ...], use_batch_norm: bool) -> Shapes:
    return _with_norm(name, "convolution", kernel, kernel[3], use_batch_norm)


def _depthwise(name: str, width: int, use_batch_norm: bool) -> Shapes:
    return _with_norm(name, "depthwise", (3, 3, width, 1), width, use_batch_norm)


def _with_norm(
    name: str, kind: str, kernel: tuple[int, ...], width: int, use_batch_norm: bool
) -> Shapes:
    """Return the weights of a convolution with a batch norm, or else with a bias."""
    shapes: Shapes = {f"{name}/{kind}/kernel": kernel}
    if not use_batch_norm:
        return shapes | {f"{name}/{kind}/bias": (width,)}
    for part in ("gamma", "beta", "moving_mean", "moving_variance"):
        shapes[f"{name}/batch_norm/{part}"] = (width,)
    return shapes


def _meta_name(name: str) -> str:
    layer, variable = split_name(name)
    if layer in NECK:
        return f"image_encoder.{torch_tensor(NECK[layer].meta, variable)}"
    first, *segments = layer.split("/")
    if first == "patch_embedding":
        path = META_STEM[segments.pop(0)]
    else:
        _, stage, kind, *block = first.split("_")  # "stages_1_blocks_0", "stages_1_merging"
        path = ".".join(["layers", stage, *([kind, *block] if block else ["downsample"])])
        if segments == ["layer_norm"]:
            segments.insert(0, "mlp")  # Meta's norm is a part of the MLP
    layer = ".".join(["image_encoder", path, *(META_SEGMENTS.get(x, x) for x in segments)])
    return torch_tensor(layer, META_SEGMENTS.get(variable, variable))


def _keras_hub_path(name: str) -> str:
    layer, variable = split_name(name)
    # keras-hub has the layers of the neck, but not the others.
    return keras_variable(NECK[layer].keras_hub, variable) if layer in NECK else name


def _parse_meta_config(tensors: TensorShapes) -> dict[str, Any]:
    first = tensors.axes("image_encoder.patch_embed.seq.2.c.weight", 4)[0]
    expanded = tensors.axes(f"{META_BLOCK.format(0)}conv1.c.weight", 4)[0]
    blocks = [META_BLOCK.format(stage) for stage in range(1, STAGES)]
    biases = [tensors.axes(f"{block}attn.attention_biases", 2) for block in blocks]
    hidden, width = tensors.axes(f"{blocks[0]}mlp.fc1.weight", 2)
    others = [tensors.axes(f"{block}attn.proj.weight", 2)[0] for block in blocks]
    return {
        "hidden_sizes": [first, *others],
        "depths": [_count_blocks(tensors, stage) for stage in range(STAGES)],
        "num_heads": [heads for heads, _ in biases],
        "window_sizes": [math.isqrt(distances) for _, distances in biases],
        "mlp_ratio": hidden // width,
        "mbconv_expansion": expanded // first,
        "image_shape": META_IMAGE_SHAPE,
        "num_output_channels": tensors.axes("image_encoder.neck.0.weight", 4)[0],
    }


def _count_blocks(tensors: TensorShapes, stage: int) -> int:
    pattern = rf"image_encoder\.layers\.{stage}\.blocks\.\d+\.\w+\.c\.weight"
    convolutions = 1 if stage else 3  # in each block
    return tensors.count(pattern) // convolutions


TINY_VIT = ImageEncoderFormat(
    module="keras_sam.models.tiny_vit_backbone",
    arguments=ARGUMENTS,
    weight_shapes=weight_shapes,
    keras_hub=KerasHubEncoder(weight_path=_keras_hub_path),
    meta=MetaEncoder(
        signature="image_encoder.patch_embed.seq.0.c.weight",
        parse_config=_parse_meta_config,
        tensor_name=_meta_name,
        ignored=META_IGNORED,
    ),
)
