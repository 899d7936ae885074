"""`expected_shapes`: the name and shape of every weight that a config calls for."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.architectures.layer_shapes import (
    Shapes,
    kernel_and_bias,
    layer_norm,
    mlp,
    prefixed,
    transposed_convolution,
)
from keras_sam.checkpoints.architectures.tiny_vit import tiny_vit_shapes
from keras_sam.checkpoints.architectures.vit_det import vit_det_shapes
from keras_sam.checkpoints.checkpoint import CheckpointError

LARGEST_COUNT = 2_000_000_000  # parameters; the largest SAM has 641,090,864


def expected_shapes(class_name: str, config: Mapping[str, Any]) -> Shapes:
    """Every weight of the model or part that a config describes.

    Args:
        class_name: as in `Checkpoint.class_name`, or of a part.
        config: as in `Checkpoint.config`.

    Returns:
        Name to shape, in the order of the model's parts.
    """
    if class_name != "SAMBackbone":
        return SHAPES[class_name](config)
    shapes: Shapes = {}
    for name in ("image_encoder", "prompt_encoder", "mask_decoder"):
        part = config[name]
        shapes |= prefixed(name, expected_shapes(part["class_name"], part["config"]))
    return shapes


def count_parameters(class_name: str, config: Mapping[str, Any]) -> int:
    """The number of values in all weights of the model."""
    return sum(math.prod(shape) for shape in expected_shapes(class_name, config).values())


def check_size(class_name: str, config: Mapping[str, Any], *, source: str) -> None:
    """Refuses a config that calls for empty weights, or for far more than any SAM has.

    Raises:
        CheckpointError: with the weight, or the number of parameters.
    """
    for name, shape in expected_shapes(class_name, config).items():
        if min(shape) < 1:
            raise CheckpointError(
                f"the config of '{source}' gives the weight {name} the shape {shape}; expected "
                "sides of 1 or more"
            )
    count = count_parameters(class_name, config)
    if count > LARGEST_COUNT:
        raise CheckpointError(
            f"the config of '{source}' calls for {count} parameters; expected at most "
            f"{LARGEST_COUNT}"
        )


def prompt_encoder_shapes(config: Mapping[str, Any]) -> Shapes:
    """Weights of a `SAMPromptEncoder`."""
    width, channels = config["hidden_size"], config["mask_in_channels"]
    shapes: Shapes = {"positional_encoding_gaussian_matrix": (2, width // 2)}
    for name in POINT_EMBEDDINGS:
        shapes[name] = (1, width)
    downscaler = kernel_and_bias("conv1", (2, 2, 1, channels // 4)) | layer_norm(
        "layer_norm1", channels // 4
    )
    downscaler |= kernel_and_bias("conv2", (2, 2, channels // 4, channels))
    downscaler |= layer_norm("layer_norm2", channels) | kernel_and_bias(
        "conv3", (1, 1, channels, width)
    )
    return shapes | prefixed("mask_downscaler", downscaler)


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
    shapes = prefixed("transformer", _two_way_transformer(config))
    shapes |= {"iou_token": (1, width), "mask_tokens": (masks, width)}
    upscaler = transposed_convolution("conv_transpose1", width, width // 4) | layer_norm(
        "layer_norm", width // 4
    )
    upscaler |= transposed_convolution("conv_transpose2", width // 4, width // 8)
    shapes |= prefixed("upscaler", upscaler)
    for index in range(masks):
        shapes |= mlp(f"hypernetworks_{index}", [width, width, width, width // 8])
    hidden = [config["iou_head_hidden_dim"]] * (config["iou_head_depth"] - 1)
    shapes |= mlp("iou_head", [width, *hidden, masks])
    if config["early_feature_dim"]:
        shapes |= prefixed("high_quality", _high_quality_branch(config))
    return shapes


def _high_quality_branch(config: Mapping[str, Any]) -> Shapes:
    width, early = config["embedding_dim"], config["early_feature_dim"]
    channels = width // 8
    shapes: Shapes = {"token": (1, width)} | mlp("head", [width, width, width, channels])
    for name, inputs, hidden in (
        ("early_encoder", early, width),
        ("embedding_encoder", width, width // 4),
    ):
        shapes |= prefixed(name, _upscaler(inputs, hidden, channels))
    refiner = kernel_and_bias("conv1", (3, 3, channels, width // 4))
    refiner |= layer_norm("layer_norm", width // 4)
    refiner |= kernel_and_bias("conv2", (3, 3, width // 4, channels))
    return shapes | prefixed("refiner", refiner)


def _upscaler(inputs: int, hidden: int, outputs: int) -> Shapes:
    shapes = transposed_convolution("conv_transpose1", inputs, hidden)
    shapes |= layer_norm("layer_norm", hidden)
    return shapes | transposed_convolution("conv_transpose2", hidden, outputs)


def _two_way_transformer(config: Mapping[str, Any]) -> Shapes:
    width, heads = config["hidden_size"], config["num_heads"]
    narrow = heads * max(1, width // heads // 2)
    shapes: Shapes = {}
    for index in range(config["num_layers"]):
        block = _attention("self_attention", width, heads * (width // heads))
        block |= _attention("token_to_image_attention", width, narrow)
        block |= _attention("image_to_token_attention", width, narrow)
        for norm in range(1, 5):
            block |= layer_norm(f"layer_norm{norm}", width)
        block |= mlp("mlp", [width, config["intermediate_dim"], width])
        shapes |= prefixed(f"blocks_{index}", block)
    shapes |= _attention("final_attention", width, narrow)
    return shapes | layer_norm("final_layer_norm", width)


def _attention(name: str, width: int, inner: int) -> Shapes:
    shapes: Shapes = {}
    for part in ("query", "key", "value"):
        shapes |= kernel_and_bias(f"{name}/{part}", (width, inner))
    return shapes | kernel_and_bias(f"{name}/output", (inner, width))


SHAPES: dict[str, Callable[[Mapping[str, Any]], Shapes]] = {
    "TinyViTBackbone": tiny_vit_shapes,
    "ViTDetBackbone": vit_det_shapes,
    "SAMPromptEncoder": prompt_encoder_shapes,
    "SAMMaskDecoder": mask_decoder_shapes,
}
