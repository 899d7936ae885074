"""`parse_transformers_config`: the `config.json` of a transformers SAM model, as ours."""

from typing import Any

from keras_sam.checkpoints.architectures.sam import check_size
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import LARGEST_SIZE, parse_arguments, truncate

# Values that the code of SAM in transformers fixes or that nobody changes; others are refused.
FIXED: dict[str, dict[str, Any]] = {
    "vision_config": {"hidden_act": "gelu", "num_channels": 3},
    "prompt_encoder_config": {"hidden_act": "gelu", "num_point_embeddings": 4},
    "mask_decoder_config": {"hidden_act": "relu", "attention_downsample_rate": 2},
}
# Argument here to (key there, default): older files leave keys out.
VISION = {
    "hidden_size": ("hidden_size", 768),
    "num_layers": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "patch_size": ("patch_size", 16),
    "num_output_channels": ("output_channels", 256),
    "use_bias": ("qkv_bias", True),
    "use_abs_pos": ("use_abs_pos", True),
    "use_rel_pos": ("use_rel_pos", True),
    "window_size": ("window_size", 14),
    "global_attention_layer_indices": ("global_attn_indexes", [2, 5, 8, 11]),
    "layer_norm_epsilon": ("layer_norm_eps", 1e-6),
}
MASK_DECODER = {
    "hidden_size": ("hidden_size", 256),
    "embedding_dim": ("hidden_size", 256),
    "num_layers": ("num_hidden_layers", 2),
    "intermediate_dim": ("mlp_dim", 2048),
    "num_heads": ("num_attention_heads", 8),
    "num_multimask_outputs": ("num_multimask_outputs", 3),
    "iou_head_depth": ("iou_head_depth", 3),
    "iou_head_hidden_dim": ("iou_head_hidden_dim", 256),
}
# Of SAM-HQ, besides.
HIGH_QUALITY = {"early_feature_dim": ("vit_dim", 768)}
MODEL_TYPES = ("sam", "sam_hq")


def parse_transformers_config(contents: Any, *, source: str) -> dict[str, Any]:
    """The constructor arguments of a `SAMBackbone`.

    Args:
        contents: the parsed JSON; keys that are left out have the defaults of transformers.
        source: the preset, for messages.

    Raises:
        CheckpointError: if it is not of a SAM model, or has a setting that is not supported.
    """
    model_type = contents.get("model_type") if isinstance(contents, dict) else None
    if model_type not in MODEL_TYPES:
        raise CheckpointError(
            f"'{source}' holds a model of the type {truncate(model_type)}; supported are "
            + " and ".join(map(repr, MODEL_TYPES))
        )
    is_high_quality = model_type == "sam_hq"
    sections = {name: _section(contents, name, source) for name in FIXED}
    vision = sections["vision_config"]
    side, patch = vision.get("image_size", 1024), vision.get("patch_size", 16)
    size = list(side) if isinstance(side, list) else [side, side]
    if len(size) != 2 or any(type(value) is not int for value in [*size, patch]) or patch < 1:
        raise CheckpointError(
            f"'{source}' has the image_size {truncate(side)} and "
            f"patch_size {truncate(patch)}; expected positive integers"
        )
    encoder = _translated(vision, VISION) | {"image_shape": [*size, 3]}
    encoder["intermediate_dim"] = _mlp_width(vision, source)
    encoder["output_early_feature"] = is_high_quality
    decoder_keys = MASK_DECODER | (HIGH_QUALITY if is_high_quality else {})
    prompts = sections["prompt_encoder_config"]
    prompt_encoder = {
        "hidden_size": prompts.get("hidden_size", 256),
        "image_embedding_size": [value // patch for value in size],
        "input_image_size": size,
        "mask_in_channels": prompts.get("mask_input_channels", 16),
    }
    arguments = {
        "image_encoder": {"class_name": "ViTDetBackbone", "config": encoder},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": prompt_encoder},
        "mask_decoder": {
            "class_name": "SAMMaskDecoder",
            "config": _translated(sections["mask_decoder_config"], decoder_keys),
        },
    }
    plain = parse_arguments("SAMBackbone", arguments, source=source)
    check_size("SAMBackbone", plain, source=source)
    return plain


def _section(contents: dict[str, Any], name: str, source: str) -> dict[str, Any]:
    section = {} if contents.get(name) is None else contents[name]
    if not isinstance(section, dict):
        raise CheckpointError(f"the {name} of '{source}' must be a JSON object")
    for key, expected in FIXED[name].items():
        if section.get(key, expected) != expected:
            raise CheckpointError(
                f"the {name} of '{source}' has {key}={truncate(section[key])}; supported is "
                f"{expected!r}"
            )
    return section


def _translated(section: dict[str, Any], table: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    return {name: section.get(key, default) for name, (key, default) in table.items()}


def _mlp_width(vision: dict[str, Any], source: str) -> int:
    if vision.get("mlp_dim") is not None:
        return vision["mlp_dim"]
    width, ratio = vision.get("hidden_size", 768), vision.get("mlp_ratio", 4.0)
    is_number = type(width) is int and type(ratio) in (int, float)
    if not is_number or not 0 < ratio <= LARGEST_SIZE or not 0 < width <= LARGEST_SIZE:
        raise CheckpointError(
            f"'{source}' has hidden_size={truncate(width)} and mlp_ratio={truncate(ratio)}; "
            f"expected an integer and a number from 0 to {LARGEST_SIZE}"
        )
    return int(width * ratio)
