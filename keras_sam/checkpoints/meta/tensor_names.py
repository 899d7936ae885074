"""`meta_name`: what Meta's checkpoints, and those of SAM-HQ, call each weight."""

from keras_sam.checkpoints.architectures.tiny_vit_names import is_of_tiny_vit, tiny_vit_name

WHOLE_NAMES = {
    "image_encoder/position_embedding": "image_encoder.pos_embed",
    "prompt_encoder/positional_encoding_gaussian_matrix": (
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    ),
    "prompt_encoder/background_point_embedding": "prompt_encoder.point_embeddings.0.weight",
    "prompt_encoder/foreground_point_embedding": "prompt_encoder.point_embeddings.1.weight",
    "prompt_encoder/top_left_corner_embedding": "prompt_encoder.point_embeddings.2.weight",
    "prompt_encoder/bottom_right_corner_embedding": "prompt_encoder.point_embeddings.3.weight",
    "prompt_encoder/not_a_point_embedding": "prompt_encoder.not_a_point_embed.weight",
    "prompt_encoder/no_mask_embedding": "prompt_encoder.no_mask_embed.weight",
    "mask_decoder/iou_token": "mask_decoder.iou_token.weight",
    "mask_decoder/mask_tokens": "mask_decoder.mask_tokens.weight",
    "mask_decoder/high_quality/token": "mask_decoder.hf_token.weight",
}
# Layers that Meta keeps in a list without names, by their place in it.
NUMBERED = {
    "neck": {"conv1": 0, "layer_norm1": 1, "conv2": 2, "layer_norm2": 3},
    "mask_downscaler": {
        "conv1": 0,
        "layer_norm1": 1,
        "conv2": 3,
        "layer_norm2": 4,
        "conv3": 6,
    },
    "upscaler": {"conv_transpose1": 0, "layer_norm": 1, "conv_transpose2": 3},
    "early_encoder": {"conv_transpose1": 0, "layer_norm": 1, "conv_transpose2": 3},
    "embedding_encoder": {"conv_transpose1": 0, "layer_norm": 1, "conv_transpose2": 3},
    "refiner": {"conv1": 0, "layer_norm": 1, "conv2": 3},
}
SEGMENTS = {
    "patch_embedding": "patch_embed.proj",
    "attention": "attn",
    "projection": "proj",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "layer_norm3": "norm3",
    "layer_norm4": "norm4",
    "mask_downscaler": "mask_downscaling",
    "upscaler": "output_upscaling",
    "self_attention": "self_attn",
    "token_to_image_attention": "cross_attn_token_to_image",
    "image_to_token_attention": "cross_attn_image_to_token",
    "final_attention": "final_attn_token_to_image",
    "final_layer_norm": "norm_final_attn",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "out_proj",
    "iou_head": "iou_prediction_head",
    "head": "hf_mlp",
    "early_encoder": "compress_vit_feat",
    "refiner": "embedding_maskfeature",
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
}


def meta_name(name: str) -> str:
    """The tensor of Meta's checkpoints for a weight of a `SAMBackbone`."""
    if name in WHOLE_NAMES:
        return WHOLE_NAMES[name]
    if is_of_tiny_vit(name):
        return tiny_vit_name(name)
    translated: list[str] = []
    parent = ""
    # The authors of SAM-HQ put its layers beside those of the decoder.
    for part in name.replace("/high_quality/", "/").split("/"):
        translated.append(_segment(part, parent))
        parent = part
    return ".".join(translated)


def _segment(part: str, parent: str) -> str:
    if parent in NUMBERED:
        return str(NUMBERED[parent][part])
    if part.startswith("blocks_"):
        # The image encoder has `blocks`, the decoder's transformer `layers`.
        kind = "layers" if parent == "transformer" else "blocks"
        return f"{kind}.{part.removeprefix('blocks_')}"
    if part.startswith("hypernetworks_"):
        return f"output_hypernetworks_mlps.{part.removeprefix('hypernetworks_')}"
    if part.startswith("dense"):
        number = int(part.removeprefix("dense"))
        return f"lin{number}" if parent == "mlp" else f"layers.{number - 1}"
    return SEGMENTS.get(part, part)
