"""What tests of several models of transformers share: settings and random weights."""

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


def randomized(model: Any) -> Any:
    """The model with random weights, its tied positional matrix in both places."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        table = torch.randn(2, 16)
        model.shared_image_embedding.positional_embedding.copy_(table)
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(table)
    return model.eval()
