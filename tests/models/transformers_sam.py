"""Small random models of transformers."""

from typing import Any

VISION = {
    "hidden_size": 16,
    "output_channels": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "window_size": 3,
    "global_attn_indexes": [1],
    "num_pos_feats": 16,
    "mlp_dim": 24,
}
PROMPTS = {"hidden_size": 32, "image_size": 64, "image_embedding_size": 4}
DECODER = {
    "hidden_size": 32,
    "mlp_dim": 40,
    "num_attention_heads": 8,
    "iou_head_hidden_dim": 16,
    "layer_norm_eps": 1e-5,  # as in Meta's code
}
# The widths of SAM with ViT-B.
WIDE_VISION = VISION | {
    "hidden_size": 768,
    "output_channels": 256,
    "num_attention_heads": 12,
    "num_pos_feats": 128,
    "mlp_dim": 3072,
}
WIDE_PROMPTS = PROMPTS | {"hidden_size": 256}
WIDE_DECODER = DECODER | {"hidden_size": 256, "mlp_dim": 512, "iou_head_hidden_dim": 256}


def build_sam(*, wide: bool = False) -> Any:
    """Build a random `SamModel` of two layers, with the epsilons of Meta's code."""
    import torch
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    config = SamConfig(
        vision_config=WIDE_VISION if wide else VISION,
        prompt_encoder_config=WIDE_PROMPTS if wide else PROMPTS,
        mask_decoder_config=WIDE_DECODER if wide else DECODER,
    )
    model = SamModel(config)
    model.mask_decoder.upscale_layer_norm.eps = 1e-6
    return set_random_weights(model)


def set_random_weights(model: Any) -> Any:
    """Set weights of a realistic scale, and the shared positional matrix in both places."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = max(1, parameter[0].numel()) ** -0.5 if parameter.ndim > 1 else 0.1
            is_gain = "norm" in name and name.endswith("weight")
            parameter.copy_(torch.randn_like(parameter) * scale + (1.0 if is_gain else 0.0))
        positions = torch.randn_like(model.shared_image_embedding.positional_embedding)
        model.shared_image_embedding.positional_embedding.copy_(positions)
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(positions)
    return model.eval()
