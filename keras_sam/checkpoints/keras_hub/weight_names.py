"""`keras_hub_paths`: where keras-hub keeps each weight in an HDF5 file.

keras-hub names a group after the attribute or the class of a layer, numbered among layers of
the same class in one list, and the variables of a layer `vars/0`, `vars/1` in the order of
their creation.
"""

from collections.abc import Iterable

from keras_sam.checkpoints.architectures.tiny_vit_names import is_of_tiny_vit

IMAGE_ENCODER = "image_encoder/"
PROMPT_ENCODER = "prompt_encoder/"
MASK_DECODER = "mask_decoder/"

# Of a layer with two variables; a single variable is number 0.
SECOND_VARIABLES = ("bias", "beta", "rel_pos_w")

IMAGE_ENCODER_GROUPS = {
    "patch_embedding": "vi_t_det_patching_and_embedding/projection",
    "position_embedding": "add_positional_embedding",
    "neck/conv1": "sequential/layers/conv2d",
    "neck/layer_norm1": "sequential/layers/layer_normalization",
    "neck/conv2": "sequential/layers/conv2d_1",
    "neck/layer_norm2": "sequential/layers/layer_normalization_1",
}
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


def keras_hub_paths(names: Iterable[str]) -> dict[str, str]:
    """The path in `model.weights.h5` of each name of a model or of its image encoder."""
    return {name: keras_hub_path(name) for name in names}


def keras_hub_path(name: str) -> str:
    """The path in `model.weights.h5` of one weight."""
    if is_of_tiny_vit(name):  # keras-hub has no such layers
        return f"layers/{name.removeprefix(IMAGE_ENCODER)}"
    group, last = _split(name)
    variable = 1 if last in SECOND_VARIABLES else 0
    return f"{_group_path(group)}/vars/{variable}"


def task_path(name: str) -> str:
    """The path in `task.weights.h5` of a weight of the mask decoder."""
    return "layers/sam_" + keras_hub_path(name)


def _split(name: str) -> tuple[str, str]:
    """The layer a weight belongs to, and the weight's name in it."""
    group, _, last = name.rpartition("/")
    if last in ("kernel", "bias", "gamma", "beta", "rel_pos_h", "rel_pos_w"):
        return group, last
    return name, ""


def _group_path(group: str) -> str:
    if group.startswith(PROMPT_ENCODER):
        part = group.removeprefix(PROMPT_ENCODER)
        return f"layers/sam_prompt_encoder/{PROMPT_ENCODER_GROUPS[part]}"
    if group.startswith(MASK_DECODER):
        return f"mask_decoder/{_mask_decoder_group(group.removeprefix(MASK_DECODER))}"
    return f"layers/{_image_encoder_group(group.removeprefix(IMAGE_ENCODER))}"


def _image_encoder_group(group: str) -> str:
    if group in IMAGE_ENCODER_GROUPS:
        return IMAGE_ENCODER_GROUPS[group]
    block, _, part = group.partition("/")  # "blocks_3", "mlp/dense1"
    prefix = _numbered("windowed_transformer_encoder", int(block.removeprefix("blocks_")))
    if part.startswith("mlp/"):
        part = "mlp_block/dense_net/layers/" + _dense(part.removeprefix("mlp/"))
    elif part == "attention":  # the relative position tables
        part = "attention/add_decomposed_relative_pe"
    return f"{prefix}/{part}"


def _mask_decoder_group(group: str) -> str:
    if group in MASK_DECODER_GROUPS:
        return MASK_DECODER_GROUPS[group]
    first, _, rest = group.partition("/")
    if first == "transformer":
        return f"transformer/{_transformer_group(rest)}"
    if first == "iou_head":
        return f"iou_prediction_head/mlp_block/layers/{_dense(rest)}"
    if first.startswith("hypernetworks_"):
        mlp = _numbered("mlp", int(first.removeprefix("hypernetworks_")))
        return f"output_hypernetworks_mlps/{mlp}/mlp_block/layers/{_dense(rest)}"
    return group  # iou_token, mask_tokens


def _transformer_group(group: str) -> str:
    first, _, rest = group.partition("/")
    if not first.startswith("blocks_"):
        return _transformer_part(group)
    block = _numbered("two_way_multi_head_attention", int(first.removeprefix("blocks_")))
    return f"layers/{block}/{_transformer_part(rest)}"


def _transformer_part(part: str) -> str:
    first, _, rest = part.partition("/")
    if first in ATTENTIONS:
        return f"{ATTENTIONS[first]}/{PROJECTIONS[rest]}"
    if first == "mlp":
        return f"mlp_block/mlp_block/layers/{_dense(rest)}"
    return part  # layer norms


def _dense(name: str) -> str:
    """`dense2` counts from one, keras-hub's `dense_1` from zero."""
    return _numbered("dense", int(name.removeprefix("dense")) - 1)


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name
