"""`keras_hub_paths`: the path of each weight in the HDF5 files of keras-hub.

keras-hub names a group after the attribute or the class of a layer, numbered among the layers of
the same class in one list. The variables of a layer are `vars/0`, `vars/1` in the order of their
creation.
"""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.layer_names import keras_variable, numbered, split_name
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import SAM, expected_shapes, image_encoder_part

PROMPT_ENCODER_GROUPS = {
    "positional_encoding_gaussian_matrix": "positional_embedding_layer",
    "background_point_embedding": "background_point_embed",
    "foreground_point_embedding": "foreground_point_embed",
    "top_left_corner_embedding": "top_left_corner_embed",
    "bottom_right_corner_embedding": "bottom_right_corner_embed",
    "not_a_point_embedding": "not_a_point_embed",
    "no_mask_embedding": "no_mask_embed",
    "mask_downscaler/conv1": "mask_downscaler/layers/conv2d",
    "mask_downscaler/layer_norm1": "mask_downscaler/layers/layer_normalization",
    "mask_downscaler/conv2": "mask_downscaler/layers/conv2d_1",
    "mask_downscaler/layer_norm2": "mask_downscaler/layers/layer_normalization_1",
    "mask_downscaler/conv3": "mask_downscaler/layers/conv2d_2",
}
MASK_DECODER_GROUPS = {
    "upscaler/conv_transpose1": "output_upscaling/layers/conv2d_transpose",
    "upscaler/layer_norm": "output_upscaling/layers/layer_normalization",
    "upscaler/conv_transpose2": "output_upscaling/layers/conv2d_transpose_1",
}
TOKENS = ("iou_token", "mask_tokens", "token")  # weights without a layer of their own
ATTENTIONS = {
    "self_attention": "self_attention",
    "token_to_image_attention": "cross_attention_token_to_image",
    "image_to_token_attention": "cross_attention_image_to_token",
    "final_attention": "final_attention_token_to_image",
}
PROJECTIONS = {
    "query": "query_proj",
    "key": "key_proj",
    "value": "value_proj",
    "output": "out_proj",
}


def keras_hub_paths(class_name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the path in `model.weights.h5` of each weight of a model.

    Args:
        class_name: Class of the model.
        config: Its constructor arguments.
    """
    encoder_class, _ = image_encoder_part(class_name, config)
    encoder = IMAGE_ENCODERS[encoder_class].keras_hub
    paths = {}
    for name in expected_shapes(class_name, config):
        part, _, rest = name.partition("/") if class_name == SAM else ("image_encoder", "", name)
        if part == "image_encoder":
            paths[name] = f"layers/{encoder.weight_path(rest)}"
        elif part == "prompt_encoder":
            paths[name] = f"layers/sam_prompt_encoder/{_prompt_encoder_path(rest)}"
        else:
            paths[name] = f"mask_decoder/{_mask_decoder_path(rest)}"
    return paths


def task_path(path: str) -> str:
    """Return the path in `task.weights.h5` of a weight of the mask decoder.

    Args:
        path: Path of the weight in `model.weights.h5`.
    """
    return f"layers/sam_{path}"


def _prompt_encoder_path(name: str) -> str:
    if name in PROMPT_ENCODER_GROUPS:  # a layer with a single variable
        return keras_variable(PROMPT_ENCODER_GROUPS[name], "")
    layer, variable = split_name(name)
    return keras_variable(PROMPT_ENCODER_GROUPS[layer], variable)


def _mask_decoder_path(name: str) -> str:
    layer, variable = split_name(name)
    if variable in TOKENS:
        return keras_variable(name, "")
    return keras_variable(_mask_decoder_group(layer), variable)


def _mask_decoder_group(layer: str) -> str:
    if layer in MASK_DECODER_GROUPS:
        return MASK_DECODER_GROUPS[layer]
    first, _, rest = layer.partition("/")
    if first == "transformer":
        return f"transformer/{_transformer_group(rest)}"
    if first == "iou_head":
        return f"iou_prediction_head/mlp_block/layers/{_dense(rest)}"
    if first.startswith("hypernetworks_"):
        mlp = numbered("mlp", int(first.removeprefix("hypernetworks_")))
        return f"output_hypernetworks_mlps/{mlp}/mlp_block/layers/{_dense(rest)}"
    return layer  # the layers of SAM-HQ, which keras-hub lacks


def _transformer_group(layer: str) -> str:
    first, _, rest = layer.partition("/")
    if not first.startswith("blocks_"):
        return _transformer_part(layer)
    block = numbered("two_way_multi_head_attention", int(first.removeprefix("blocks_")))
    return f"layers/{block}/{_transformer_part(rest)}"


def _transformer_part(part: str) -> str:
    first, _, rest = part.partition("/")
    if first in ATTENTIONS:
        return f"{ATTENTIONS[first]}/{PROJECTIONS[rest]}"
    if first == "mlp":
        return f"mlp_block/mlp_block/layers/{_dense(rest)}"
    return part  # layer norms


def _dense(name: str) -> str:
    """Return the name of a dense layer: ours count from one, those of keras-hub from zero."""
    return numbered("dense", int(name.removeprefix("dense")) - 1)
