"""`expected_shapes`: the name and the shape of every weight of a model, from its config."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from keras_sam.checkpoints.architectures.argument import (
    LAYERS,
    SIZE,
    SIZE_OR_ZERO,
    Argument,
    integers,
    is_activation,
    is_bool,
)
from keras_sam.checkpoints.architectures.layer_shapes import (
    Shapes,
    kernel_and_bias,
    layer_norm,
    mlp,
    prefixed,
    transposed_convolution,
)
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.errors import CheckpointError

SAM = "SAMBackbone"
IMAGE_ENCODER = "image_encoder"
PARTS = (IMAGE_ENCODER, "prompt_encoder", "mask_decoder")
MAX_PARAMETERS = 2_000_000_000  # the largest SAM has 641,090,864

# Arguments of the parts that all models share.
ARGUMENTS = {
    "SAMPromptEncoder": {
        "hidden_size": Argument(SIZE, 256),
        "image_embedding_size": Argument(integers(2), [64, 64]),
        "input_image_size": Argument(integers(2), [1024, 1024]),
        "mask_in_channels": Argument(SIZE, 16),
        "activation": Argument(is_activation, "gelu"),
    },
    "SAMMaskDecoder": {
        "hidden_size": Argument(SIZE, 256),
        "num_layers": Argument(LAYERS, 2),
        "intermediate_dim": Argument(SIZE, 2048),
        "num_heads": Argument(SIZE, 8),
        "embedding_dim": Argument(SIZE, 256),
        "num_multimask_outputs": Argument(LAYERS, 3),
        "iou_head_depth": Argument(LAYERS, 3),
        "iou_head_hidden_dim": Argument(SIZE, 256),
        "activation": Argument(is_activation, "gelu"),
        "early_feature_dim": Argument(SIZE_OR_ZERO, 0),
        "hq_token_only": Argument(is_bool, False),
    },
}
POINT_EMBEDDINGS = (
    "background_point_embedding",
    "foreground_point_embedding",
    "top_left_corner_embedding",
    "bottom_right_corner_embedding",
    "not_a_point_embedding",
    "no_mask_embedding",
)


def model_classes() -> tuple[str, ...]:
    """Return the names of the classes that a checkpoint may contain."""
    return (SAM, *IMAGE_ENCODERS)


def image_encoder_part(class_name: str, config: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the class name and the config of the image encoder of a model.

    Args:
        class_name: Class of the model, which may be an image encoder itself.
        config: Config of the model. The result is a part of it, not a copy.
    """
    if class_name != SAM:
        return class_name, config
    part = config[IMAGE_ENCODER]
    return part["class_name"], part["config"]


def expected_shapes(class_name: str, config: Mapping[str, Any]) -> Shapes:
    """Return the shape of every weight of a model or part, by name, in the order of its parts.

    Args:
        class_name: `SAMBackbone`, an image encoder, `SAMPromptEncoder` or `SAMMaskDecoder`.
        config: Constructor arguments, as in `Checkpoint.config`.
    """
    if class_name in IMAGE_ENCODERS:
        return IMAGE_ENCODERS[class_name].weight_shapes(config)
    if class_name != SAM:
        return SHAPES[class_name](config)
    shapes: Shapes = {}
    for name in PARTS:
        part = config[name]
        shapes |= prefixed(name, expected_shapes(part["class_name"], part["config"]))
    return shapes


def count_parameters(class_name: str, config: Mapping[str, Any]) -> int:
    """Return the number of values in all weights of a model."""
    return sum(math.prod(shape) for shape in expected_shapes(class_name, config).values())


def check_size(class_name: str, config: Mapping[str, Any], *, source: str) -> None:
    """Check that no weight is empty and that the model is not far larger than any SAM.

    Raises:
        CheckpointError: If one of these fails. The message has the weight, or the number of
            parameters.
    """
    for name, shape in expected_shapes(class_name, config).items():
        if min(shape) < 1:
            raise CheckpointError(
                f"the config of '{source}' gives the weight {name} the shape {shape}; expected "
                "sides of 1 or more"
            )
    count = count_parameters(class_name, config)
    if count > MAX_PARAMETERS:
        raise CheckpointError(
            f"the config of '{source}' needs {count} parameters; expected at most {MAX_PARAMETERS}"
        )


def _prompt_encoder(config: Mapping[str, Any]) -> Shapes:
    width, channels = config["hidden_size"], config["mask_in_channels"]
    shapes: Shapes = {"positional_encoding_gaussian_matrix": (2, width // 2)}
    shapes |= dict.fromkeys(POINT_EMBEDDINGS, (1, width))
    downscaler = kernel_and_bias("conv1", (2, 2, 1, channels // 4))
    downscaler |= layer_norm("layer_norm1", channels // 4)
    downscaler |= kernel_and_bias("conv2", (2, 2, channels // 4, channels))
    downscaler |= layer_norm("layer_norm2", channels)
    downscaler |= kernel_and_bias("conv3", (1, 1, channels, width))
    return shapes | prefixed("mask_downscaler", downscaler)


def _mask_decoder(config: Mapping[str, Any]) -> Shapes:
    width, masks = config["embedding_dim"], config["num_multimask_outputs"] + 1
    shapes = prefixed("transformer", _two_way_transformer(config))
    shapes |= {"iou_token": (1, width), "mask_tokens": (masks, width)}
    shapes |= prefixed("upscaler", _upscaler(width, width // 4, width // 8))
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
    shapes |= prefixed("early_encoder", _upscaler(early, width, channels))
    shapes |= prefixed("embedding_encoder", _upscaler(width, width // 4, channels))
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
    "SAMPromptEncoder": _prompt_encoder,
    "SAMMaskDecoder": _mask_decoder,
}
