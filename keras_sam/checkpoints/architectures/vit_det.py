"""Shapes of the weights of a `ViTDetBackbone`."""

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


def vit_det_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `ViTDetBackbone`."""
    width, patch = config["hidden_size"], config["patch_size"]
    channels, depth = config["num_output_channels"], config["image_shape"][2]
    grid = embedding_size(config)
    shapes = kernel_and_bias("patch_embedding", (patch, patch, depth, width))
    if config["use_abs_pos"]:
        shapes["position_embedding"] = (1, *grid, width)
    for index in range(config["num_layers"]):
        shapes |= prefixed(f"blocks_{index}", _vit_block(config, attended_size(config, index)))
    return shapes | neck("neck", width, channels)


def embedding_size(config: Mapping[str, Any]) -> tuple[int, int]:
    """`(height, width)` of the embedding grid of a `ViTDetBackbone`."""
    height, width, _ = config["image_shape"]
    return height // config["patch_size"], width // config["patch_size"]


def is_global(config: Mapping[str, Any], index: int) -> bool:
    """Whether block `index` of a `ViTDetBackbone` attends over the whole grid."""
    return index in config["global_attention_layer_indices"] or not config["window_size"]


def attended_size(config: Mapping[str, Any], index: int) -> tuple[int, int]:
    """`(height, width)` of what a query of block `index` sees, in tokens."""
    if is_global(config, index):
        return embedding_size(config)
    return config["window_size"], config["window_size"]


def _vit_block(config: Mapping[str, Any], attended: tuple[int, int]) -> Shapes:
    width = config["hidden_size"]
    head = width // config["num_heads"]
    shapes = layer_norm("layer_norm1", width)
    shapes["attention/qkv/kernel"] = (width, 3 * width)
    if config["use_bias"]:
        shapes["attention/qkv/bias"] = (3 * width,)
    shapes |= kernel_and_bias("attention/projection", (width, width))
    if config["use_rel_pos"]:
        shapes["attention/rel_pos_h"] = (2 * attended[0] - 1, head)
        shapes["attention/rel_pos_w"] = (2 * attended[1] - 1, head)
    shapes |= layer_norm("layer_norm2", width)
    return shapes | mlp("mlp", [width, config["intermediate_dim"], width])
