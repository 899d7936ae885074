"""`to_meta_name`: an oracle for tensor names, from published maps between Meta and transformers."""

import re

RULES = [
    (r"^shared_image_embedding\.positional_embedding$", "POSITIONS"),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$", "POSITIONS"),
    ("POSITIONS", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm", r"vision_encoder.blocks.\1.norm"),
    (r"^vision_encoder\.layers\.", "vision_encoder.blocks."),
    (r"patch_embed\.projection", "patch_embed.proj"),
    (r"neck\.conv1", "neck.0"),
    (r"neck\.layer_norm1", "neck.1"),
    (r"neck\.conv2", "neck.2"),
    (r"neck\.layer_norm2", "neck.3"),
    (r"^vision_encoder", "image_encoder"),
    (r"\.point_embed\.", ".point_embeddings."),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"transformer\.layers\.(\d+)\.layer_norm(\d)", r"transformer.layers.\1.norm\2"),
    (r"layer_norm_final_attn", "norm_final_attn"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    # Names of SAM-HQ by its authors.
    ("hq_token", "hf_token"),
    ("hq_mask_mlp", "hf_mlp"),
    (r"compress_vit_conv1", "compress_vit_feat.0"),
    (r"compress_vit_norm", "compress_vit_feat.1"),
    (r"compress_vit_conv2", "compress_vit_feat.3"),
    (r"decoder\.encoder_conv1", "decoder.embedding_encoder.0"),
    (r"decoder\.encoder_norm", "decoder.embedding_encoder.1"),
    (r"decoder\.encoder_conv2", "decoder.embedding_encoder.3"),
    (r"decoder\.mask_conv1", "decoder.embedding_maskfeature.0"),
    (r"decoder\.mask_norm", "decoder.embedding_maskfeature.1"),
    (r"decoder\.mask_conv2", "decoder.embedding_maskfeature.3"),
    (r"(mlps\.\d+|hf_mlp|iou_prediction_head)\.proj_in", r"\1.layers.FIRST"),
    (r"(mlps\.\d+|hf_mlp|iou_prediction_head)\.layers\.0", r"\1.layers.1"),
    (r"layers\.FIRST", "layers.0"),
    (r"(mlps\.\d+|hf_mlp|iou_prediction_head)\.proj_out", r"\1.layers.2"),
]


def to_meta_name(name: str) -> str:
    """Return the name in Meta's code of a tensor of `SamModel` or `SamHQModel` of transformers."""
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return name
