"""`parse_transformers_config` and its inverse: the `config.json` of a SAM model of transformers."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.image_encoder import TransformersEncoder
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import SAM, check_size
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.truncate import truncate
from keras_sam.errors import CheckpointError

# Keys whose values the code of transformers implies.
FIXED_PROMPT_ENCODER = {"hidden_act": "gelu", "num_point_embeddings": 4}
FIXED_MASK_DECODER = {"hidden_act": "relu", "attention_downsample_rate": 2}
# Arguments by their keys in transformers, with its defaults: older files omit keys.
MASK_DECODER_KEYS = {
    "hidden_size": ("hidden_size", 256),
    "embedding_dim": ("hidden_size", 256),
    "num_layers": ("num_hidden_layers", 2),
    "intermediate_dim": ("mlp_dim", 2048),
    "num_heads": ("num_attention_heads", 8),
    "num_multimask_outputs": ("num_multimask_outputs", 3),
    "iou_head_depth": ("iou_head_depth", 3),
    "iou_head_hidden_dim": ("iou_head_hidden_dim", 256),
}
HIGH_QUALITY_KEYS = {"early_feature_dim": ("vit_dim", 768)}
HIGH_QUALITY = "_hq"  # the end of the model_type of SAM-HQ
ACTIVATION = "gelu"  # in the layers of transformers, which have no setting for it
# Epsilon of the layer norms of Meta's mask decoder. The default of transformers is 1e-6.
DECODER_EPSILON = 1e-5


def parse_transformers_config(contents: Any, *, source: str) -> dict[str, Any]:
    """Return the constructor arguments of the `SAMBackbone` that a `config.json` describes.

    Args:
        contents: Contents of the file. Missing keys have the defaults of transformers.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If it is not a SAM model, or has a setting that is not supported.
    """
    model_type = contents.get("model_type") if isinstance(contents, dict) else None
    class_name, encoder_format = _find_encoder(model_type, source)
    is_high_quality = str(model_type).endswith(HIGH_QUALITY)
    vision = _parse_section(contents, "vision_config", encoder_format.fixed, source)
    prompts = _parse_section(contents, "prompt_encoder_config", FIXED_PROMPT_ENCODER, source)
    decoder = _parse_section(contents, "mask_decoder_config", FIXED_MASK_DECODER, source)
    encoder = encoder_format.parse_config(vision, source)
    if is_high_quality:
        encoder["output_early_feature"] = True
    size, patch = encoder["image_shape"][:2], IMAGE_ENCODERS[class_name].patch_size(encoder)
    prompt_encoder = {
        "hidden_size": prompts.get("hidden_size", 256),
        "image_embedding_size": [side // patch for side in size],
        "input_image_size": size,
        "mask_in_channels": prompts.get("mask_input_channels", 16),
    }
    keys = MASK_DECODER_KEYS | (HIGH_QUALITY_KEYS if is_high_quality else {})
    mask_decoder = {name: decoder.get(key, default) for name, (key, default) in keys.items()}
    arguments = {
        "image_encoder": {"class_name": class_name, "config": encoder},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": prompt_encoder},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": mask_decoder},
    }
    config = parse_arguments(SAM, arguments, source=source)
    check_size(SAM, config, source=source)
    return config


def build_transformers_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the `config.json` of a model; the inverse of `parse_transformers_config`.

    Raises:
        CheckpointError: If transformers cannot build the model.
    """
    encoder_format = check_supported(checkpoint)
    class_name = checkpoint.config["image_encoder"]["class_name"]
    encoder, prompts, decoder = _part_configs(checkpoint)
    is_high_quality = decoder["early_feature_dim"] > 0
    model_type = _model_type(encoder_format, is_high_quality)
    keys = MASK_DECODER_KEYS | (HIGH_QUALITY_KEYS if is_high_quality else {})
    vision = encoder_format.build_config(encoder) | {
        "model_type": f"{model_type}_vision_model",
        "num_pos_feats": prompts["hidden_size"] // 2,
    }
    prompt_encoder = {
        "model_type": f"{model_type}_prompt_encoder",
        "hidden_size": prompts["hidden_size"],
        "image_size": prompts["input_image_size"][0],
        "patch_size": IMAGE_ENCODERS[class_name].patch_size(encoder),
        "image_embedding_size": prompts["image_embedding_size"][0],
        "mask_input_channels": prompts["mask_in_channels"],
    }
    mask_decoder = {key: decoder[name] for name, (key, _) in keys.items()} | {
        "model_type": f"{model_type}_mask_decoder",
        "layer_norm_eps": DECODER_EPSILON,
    }
    return {
        "model_type": model_type,
        "architectures": ["SamHQModel" if is_high_quality else "SamModel"],
        "initializer_range": 0.02,
        "vision_config": dict(encoder_format.fixed) | vision,
        "prompt_encoder_config": FIXED_PROMPT_ENCODER | prompt_encoder,
        "mask_decoder_config": FIXED_MASK_DECODER | mask_decoder,
    }


def check_supported(checkpoint: Checkpoint) -> TransformersEncoder:
    """Check that transformers can build a model, and return its image encoder.

    Raises:
        CheckpointError: If it cannot. The message lists the settings.
    """
    if checkpoint.class_name != SAM:
        raise CheckpointError(
            f"transformers has no model of a {checkpoint.class_name} alone; expected a {SAM}"
        )
    class_name = checkpoint.config["image_encoder"]["class_name"]
    encoder_format = IMAGE_ENCODERS[class_name].transformers
    if encoder_format is None:
        raise CheckpointError(
            f"transformers has no SAM model with the {class_name} of '{checkpoint.source}'"
        )
    encoder, prompts, decoder = _part_configs(checkpoint)
    height, width, _ = encoder["image_shape"]
    wrong = []
    if height != width:
        wrong.append(f"images of {height} x {width}, expected a square")
    if decoder["hidden_size"] != decoder["embedding_dim"]:
        wrong.append("a decoder whose hidden_size is not its embedding_dim")
    if decoder["hq_token_only"]:
        wrong.append("hq_token_only, which transformers takes as an argument of the call")
    for part in (prompts, decoder):
        if part["activation"] != ACTIVATION:
            wrong.append(f"the activation {part['activation']}, expected {ACTIVATION}")
    if wrong:
        raise CheckpointError(
            f"transformers cannot build '{checkpoint.source}', which has {'; '.join(wrong)}"
        )
    return encoder_format


def _find_encoder(model_type: Any, source: str) -> tuple[str, TransformersEncoder]:
    supported: list[str] = []
    for class_name, encoder in IMAGE_ENCODERS.items():
        if encoder.transformers is None:
            continue
        if model_type in encoder.transformers.model_types:
            return class_name, encoder.transformers
        supported += encoder.transformers.model_types
    raise CheckpointError(
        f"'{source}' is a model of the type {truncate(model_type)}; supported are "
        + " and ".join(map(repr, supported))
    )


def _model_type(encoder: TransformersEncoder, is_high_quality: bool) -> str:
    return next(
        name for name in encoder.model_types if name.endswith(HIGH_QUALITY) == is_high_quality
    )


def _part_configs(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    parts = ("image_encoder", "prompt_encoder", "mask_decoder")
    encoder, prompts, decoder = (checkpoint.config[name]["config"] for name in parts)
    return encoder, prompts, decoder


def _parse_section(
    contents: dict[str, Any], name: str, fixed: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Return a section of the config after checking the keys whose values are fixed."""
    section = {} if contents.get(name) is None else contents[name]
    if not isinstance(section, dict):
        raise CheckpointError(f"the {name} of '{source}' must be a JSON object")
    for key, expected in fixed.items():
        if section.get(key, expected) != expected:
            raise CheckpointError(
                f"the {name} of '{source}' has {key}={truncate(section[key])}; supported is "
                f"{expected!r}"
            )
    return section
