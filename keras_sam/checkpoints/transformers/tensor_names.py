"""`transformers_name`: what transformers calls each weight."""

POSITIONS = "prompt_encoder/positional_encoding_gaussian_matrix"
# The two places of the tied positional matrix; a file may hold either or both.
POSITION_NAMES = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)
WHOLE_NAMES = {
    POSITIONS: POSITION_NAMES[0],
    "image_encoder/position_embedding": "vision_encoder.pos_embed",
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
SEGMENTS = {
    "image_encoder": "vision_encoder",
    "patch_embedding": "patch_embed.projection",
    "attention": "attn",
    "projection": "proj",
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
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
}
# Parts whose layers transformers keeps in the decoder itself.
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


def transformers_name(name: str, *, iou_head_depth: int) -> str:
    """The tensor of transformers' `SamModel` or `SamHQModel` for a weight of a `SAMBackbone`."""
    if name in WHOLE_NAMES:
        return WHOLE_NAMES[name]
    parts = name.split("/")
    translated = []
    siblings: dict[str, str] = {}
    for part in parts:
        if part in FLATTENED:
            siblings = FLATTENED[part]
            continue
        if part in siblings:
            part = siblings[part]
        elif part.startswith("blocks_"):
            part = "layers." + part.removeprefix("blocks_")
        elif part.startswith("hypernetworks_"):
            part = "output_hypernetworks_mlps." + part.removeprefix("hypernetworks_")
        elif part.startswith("dense"):
            depth = 2 if "mlp" in parts else iou_head_depth if "iou_head" in parts else 3
            part = _dense_name(int(part.removeprefix("dense")), depth, is_block="mlp" in parts)
        else:
            part = SEGMENTS.get(part, part)
        translated.append(part)
    return ".".join(translated)


def _dense_name(number: int, depth: int, *, is_block: bool) -> str:
    """The MLP of a block has `lin1` and `lin2`, a head `proj_in`, `layers.*`, `proj_out`."""
    if is_block:
        return f"lin{number}"
    if number == 1:
        return "proj_in"
    return "proj_out" if number == depth else f"layers.{number - 2}"
