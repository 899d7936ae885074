"""`transformers_names`: the tensor of transformers for each weight of a `SAMBackbone`."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import IMAGE_ENCODER, SAM, expected_shapes
from keras_sam.checkpoints.torch_layout import TORCH_VARIABLES
from keras_sam.errors import CheckpointError

POSITIONS = "prompt_encoder/positional_encoding_gaussian_matrix"
# The two names of the tied positional matrix. A file contains either or both.
POSITION_NAMES = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)
WHOLE_NAMES = {
    POSITIONS: POSITION_NAMES[0],
    "prompt_encoder/background_point_embedding": "prompt_encoder.point_embed.0.weight",
    "prompt_encoder/foreground_point_embedding": "prompt_encoder.point_embed.1.weight",
    "prompt_encoder/top_left_corner_embedding": "prompt_encoder.point_embed.2.weight",
    "prompt_encoder/bottom_right_corner_embedding": "prompt_encoder.point_embed.3.weight",
    "prompt_encoder/not_a_point_embedding": "prompt_encoder.not_a_point_embed.weight",
    "prompt_encoder/no_mask_embedding": "prompt_encoder.no_mask_embed.weight",
    "mask_decoder/iou_token": "mask_decoder.iou_token.weight",
    "mask_decoder/mask_tokens": "mask_decoder.mask_tokens.weight",
    "mask_decoder/high_quality/token": "mask_decoder.hq_token.weight",
}
SEGMENTS = TORCH_VARIABLES | {
    "mask_downscaler": "mask_embed",
    "self_attention": "self_attn",
    "token_to_image_attention": "cross_attn_token_to_image",
    "image_to_token_attention": "cross_attn_image_to_token",
    "final_attention": "final_attn_token_to_image",
    "final_layer_norm": "layer_norm_final_attn",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "out_proj",
    "iou_head": "iou_prediction_head",
    "head": "hq_mask_mlp",
}
# Parts whose layers belong to the decoder itself in transformers.
FLATTENED = {
    "upscaler": {
        "conv_transpose1": "upscale_conv1",
        "layer_norm": "upscale_layer_norm",
        "conv_transpose2": "upscale_conv2",
    },
    "high_quality": {},
    "early_encoder": {
        "conv_transpose1": "compress_vit_conv1",
        "layer_norm": "compress_vit_norm",
        "conv_transpose2": "compress_vit_conv2",
    },
    "embedding_encoder": {
        "conv_transpose1": "encoder_conv1",
        "layer_norm": "encoder_norm",
        "conv_transpose2": "encoder_conv2",
    },
    "refiner": {"conv1": "mask_conv1", "layer_norm": "mask_norm", "conv2": "mask_conv2"},
}


def transformers_names(config: Mapping[str, Any], *, source: str) -> dict[str, str]:
    """Return the tensor of `SamModel` or `SamHQModel` for each weight.

    Args:
        config: Config of a `SAMBackbone` that transformers can build.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If the IoU head has a single layer, for which transformers has no name.
    """
    depth = config["mask_decoder"]["config"]["iou_head_depth"]
    if depth < 2:
        raise CheckpointError(f"'{source}' has the iou_head_depth {depth}, expected 2 or more")
    encoder = IMAGE_ENCODERS[config[IMAGE_ENCODER]["class_name"]].transformers
    if encoder is None:
        raise ValueError(f"transformers has no {config[IMAGE_ENCODER]['class_name']}")
    names = {}
    for name in expected_shapes(SAM, config):
        part, _, rest = name.partition("/")
        is_encoder = part == IMAGE_ENCODER
        names[name] = encoder.tensor_name(rest) if is_encoder else _tensor_name(name, depth)
    return names


def _tensor_name(name: str, iou_head_depth: int) -> str:
    if name in WHOLE_NAMES:
        return WHOLE_NAMES[name]
    parts = name.split("/")
    translated = []
    layers: dict[str, str] = {}  # of the flattened part that was entered last
    for part in parts:
        if part in FLATTENED:
            layers = FLATTENED[part]
        elif part in layers:
            translated.append(layers[part])
        elif part.startswith("blocks_"):
            translated.append("layers." + part.removeprefix("blocks_"))
        elif part.startswith("hypernetworks_"):
            index = part.removeprefix("hypernetworks_")
            translated.append(f"output_hypernetworks_mlps.{index}")
        elif part.startswith("dense"):
            translated.append(_dense_name(part, parts, iou_head_depth))
        else:
            translated.append(SEGMENTS.get(part, part))
    return ".".join(translated)


def _dense_name(part: str, parts: list[str], iou_head_depth: int) -> str:
    """Return `lin1`, `lin2` in a block, and `proj_in`, `layers.*`, `proj_out` in a head."""
    number = int(part.removeprefix("dense"))
    if "mlp" in parts:
        return f"lin{number}"
    if number == 1:
        return "proj_in"
    depth = iou_head_depth if "iou_head" in parts else 3
    return "proj_out" if number == depth else f"layers.{number - 2}"
