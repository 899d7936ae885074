"""`expected_shapes`: the name and shape of every weight that a config calls for."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.checkpoint import CheckpointError

LARGEST_COUNT = 2_000_000_000  # parameters; the largest SAM has 641,090,864

Shapes = dict[str, tuple[int, ...]]


def expected_shapes(config: Mapping[str, Any]) -> Shapes:
    """Every weight of the model that a config describes.

    Args:
        config: of a `SAMBackbone`, or of a lone `ViTDetBackbone`, as in `Checkpoint.config`.

    Returns:
        Name to shape, in the order of the model's parts.
    """
    if "image_encoder" not in config:
        return image_encoder_shapes(config)
    parts = (
        ("image_encoder", image_encoder_shapes),
        ("prompt_encoder", prompt_encoder_shapes),
        ("mask_decoder", mask_decoder_shapes),
    )
    shapes: Shapes = {}
    for name, part_shapes in parts:
        shapes |= _prefixed(name, part_shapes(config[name]["config"]))
    return shapes


def count_parameters(config: Mapping[str, Any]) -> int:
    """The number of values in all weights of the model."""
    return sum(math.prod(shape) for shape in expected_shapes(config).values())


def check_size(config: Mapping[str, Any], *, source: str) -> None:
    """Refuses a config that calls for empty weights, or for far more than any SAM has.

    Raises:
        CheckpointError: with the weight, or the number of parameters.
    """
    for name, shape in expected_shapes(config).items():
        if min(shape) < 1:
            raise CheckpointError(
                f"the config of '{source}' gives the weight {name} the shape {shape}; expected "
                "sides of 1 or more"
            )
    count = count_parameters(config)
    if count > LARGEST_COUNT:
        raise CheckpointError(
            f"the config of '{source}' calls for {count} parameters; expected at most "
            f"{LARGEST_COUNT}"
        )


def image_encoder_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `ViTDetBackbone`."""
    width, patch = config["hidden_size"], config["patch_size"]
    channels, depth = config["num_output_channels"], config["image_shape"][2]
    grid = embedding_size(config)
    shapes = _layer("patch_embedding", (patch, patch, depth, width))
    if config["use_abs_pos"]:
        shapes["position_embedding"] = (1, *grid, width)
    for index in range(config["num_layers"]):
        shapes |= _prefixed(f"blocks_{index}", _vit_block(config, attended_size(config, index)))
    neck = {"conv1/kernel": (1, 1, width, channels), **_norm("layer_norm1", channels)}
    neck |= {"conv2/kernel": (3, 3, channels, channels), **_norm("layer_norm2", channels)}
    return shapes | _prefixed("neck", neck)


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


def prompt_encoder_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `SAMPromptEncoder`."""
    width, channels = config["hidden_size"], config["mask_in_channels"]
    shapes: Shapes = {"positional_encoding_gaussian_matrix": (2, width // 2)}
    for name in POINT_EMBEDDINGS:
        shapes[name] = (1, width)
    downscaler = _layer("conv1", (2, 2, 1, channels // 4)) | _norm("layer_norm1", channels // 4)
    downscaler |= _layer("conv2", (2, 2, channels // 4, channels))
    downscaler |= _norm("layer_norm2", channels) | _layer("conv3", (1, 1, channels, width))
    return shapes | _prefixed("mask_downscaler", downscaler)


POINT_EMBEDDINGS = (
    "background_point_embedding",
    "foreground_point_embedding",
    "top_left_corner_embedding",
    "bottom_right_corner_embedding",
    "not_a_point_embedding",
    "no_mask_embedding",
)


def mask_decoder_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `SAMMaskDecoder`."""
    width, masks = config["embedding_dim"], config["num_multimask_outputs"] + 1
    shapes = _prefixed("transformer", _two_way_transformer(config))
    shapes |= {"iou_token": (1, width), "mask_tokens": (masks, width)}
    upscaler = _transpose("conv_transpose1", width, width // 4) | _norm("layer_norm", width // 4)
    upscaler |= _transpose("conv_transpose2", width // 4, width // 8)
    shapes |= _prefixed("upscaler", upscaler)
    for index in range(masks):
        shapes |= _prefixed(f"hypernetworks_{index}", _mlp([width, width, width, width // 8]))
    hidden = [config["iou_head_hidden_dim"]] * (config["iou_head_depth"] - 1)
    return shapes | _prefixed("iou_head", _mlp([width, *hidden, masks]))


def _vit_block(config: Mapping[str, Any], attended: tuple[int, int]) -> Shapes:
    width = config["hidden_size"]
    head = width // config["num_heads"]
    shapes = _norm("layer_norm1", width)
    shapes["attention/qkv/kernel"] = (width, 3 * width)
    if config["use_bias"]:
        shapes["attention/qkv/bias"] = (3 * width,)
    shapes |= _layer("attention/projection", (width, width))
    if config["use_rel_pos"]:
        shapes["attention/rel_pos_h"] = (2 * attended[0] - 1, head)
        shapes["attention/rel_pos_w"] = (2 * attended[1] - 1, head)
    mlp = _mlp([width, config["intermediate_dim"], width])
    return shapes | _norm("layer_norm2", width) | _prefixed("mlp", mlp)


def _two_way_transformer(config: Mapping[str, Any]) -> Shapes:
    width, heads = config["hidden_size"], config["num_heads"]
    narrow = heads * max(1, width // heads // 2)
    shapes: Shapes = {}
    for index in range(config["num_layers"]):
        block = _attention("self_attention", width, heads * (width // heads))
        block |= _attention("token_to_image_attention", width, narrow)
        block |= _attention("image_to_token_attention", width, narrow)
        for norm in range(1, 5):
            block |= _norm(f"layer_norm{norm}", width)
        block |= _prefixed("mlp", _mlp([width, config["intermediate_dim"], width]))
        shapes |= _prefixed(f"blocks_{index}", block)
    shapes |= _attention("final_attention", width, narrow)
    return shapes | _norm("final_layer_norm", width)


def _attention(name: str, width: int, inner: int) -> Shapes:
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= _layer(f"{name}/{part}", (width, inner))
    return shapes | _layer(f"{name}/output", (inner, width))


def _mlp(widths: list[int]) -> Shapes:
    shapes: Shapes = {}
    for index, pair in enumerate(itertools.pairwise(widths), start=1):
        shapes |= _layer(f"dense{index}", pair)
    return shapes


def _layer(name: str, kernel: tuple[int, ...]) -> Shapes:
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}


def _transpose(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (2, 2, outputs, inputs), f"{name}/bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}/gamma": (width,), f"{name}/beta": (width,)}


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}/{name}": shape for name, shape in shapes.items()}
