"""`parse_meta_config`: the config of a file that has none, derived from its tensors' shapes."""

from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.parse_arguments import COMMON_ARGUMENTS, parse_arguments
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import PARTS, SAM, check_size
from keras_sam.checkpoints.architectures.tensor_shapes import TensorShapes
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.meta.tensor_names import find_image_encoder, meta_encoder
from keras_sam.errors import CheckpointError

Shape = tuple[int, ...]

DECODER_HEADS = 8  # in every SAM; shapes do not depend on it
IOU_HEAD = "mask_decoder.iou_prediction_head.layers"


def parse_meta_config(shapes: Mapping[str, Shape], *, source: str) -> dict[str, Any]:
    """Return the constructor arguments of the `SAMBackbone` with the given tensors.

    Args:
        shapes: Shape of each tensor by Meta's name.
        source: Name of the preset, for error messages.

    Raises:
        CheckpointError: If a tensor from which a size is derived is missing or has other axes.
    """
    tensors = TensorShapes(shapes, source)
    class_name = find_image_encoder(shapes)
    if class_name is None:
        signatures = [x.meta.signature for x in IMAGE_ENCODERS.values() if x.meta is not None]
        raise CheckpointError(
            f"'{source}' is not a SAM model with Meta's tensor names; expected one of the tensors "
            + ", ".join(signatures)
        )
    encoder = meta_encoder(class_name).parse_config(tensors)
    decoder = _parse_decoder(tensors)
    if decoder["early_feature_dim"]:
        encoder["output_early_feature"] = True
    size, patch = encoder["image_shape"][:2], IMAGE_ENCODERS[class_name].patch_size(encoder)
    prompt_encoder = {
        "hidden_size": tensors.axes("prompt_encoder.no_mask_embed.weight", 2)[1],
        "image_embedding_size": [side // patch for side in size],
        "input_image_size": size,
        "mask_in_channels": tensors.axes("prompt_encoder.mask_downscaling.3.weight", 4)[0],
    }
    arguments = {
        "image_encoder": {"class_name": class_name, "config": encoder},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": prompt_encoder},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": decoder},
    }
    config = parse_arguments(SAM, arguments, source=source)
    check_size(SAM, config, source=source)
    return config


def check_derivable(checkpoint: Checkpoint, tensor_shapes: Mapping[str, Shape]) -> None:
    """Check that the shapes of a model's tensors determine its whole config.

    Args:
        checkpoint: Config of a `SAMBackbone`.
        tensor_shapes: Shape of each of its tensors by Meta's name.

    Raises:
        CheckpointError: If a reader of the file would build another model. The message lists the
            arguments that differ.
    """
    derived = parse_meta_config(tensor_shapes, source=checkpoint.source)
    normalize = meta_encoder(checkpoint.config["image_encoder"]["class_name"]).normalize_config
    wrong = []
    for part in PARTS:
        config, expected = checkpoint.config[part]["config"], derived[part]["config"]
        config = normalize(config) if part == "image_encoder" else config
        wrong += [
            f"{name} {config[name]} (Meta's code: {expected[name]})"
            for name in expected
            if name not in COMMON_ARGUMENTS and config[name] != expected[name]
        ]
    if wrong:
        raise CheckpointError(
            f"Meta's code cannot build '{checkpoint.source}', which has {'; '.join(wrong)}"
        )


def _parse_decoder(tensors: TensorShapes) -> dict[str, Any]:
    width = tensors.axes("mask_decoder.iou_token.weight", 2)[1]
    blocks = r"mask_decoder\.transformer\.layers\.\d+\.self_attn\.q_proj\.weight"
    mlp = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
    early = 0
    if "mask_decoder.hf_token.weight" in tensors:  # SAM-HQ
        early = tensors.axes("mask_decoder.compress_vit_feat.0.weight", 4)[0]
    return {
        "hidden_size": width,
        "embedding_dim": width,
        "num_layers": tensors.count(blocks),
        "intermediate_dim": tensors.axes(mlp, 2)[0],
        "num_heads": DECODER_HEADS,
        "num_multimask_outputs": tensors.axes("mask_decoder.mask_tokens.weight", 2)[0] - 1,
        "iou_head_depth": tensors.count(r"mask_decoder\.iou_prediction_head\.layers\.\d+\.weight"),
        "iou_head_hidden_dim": tensors.axes(f"{IOU_HEAD}.0.weight", 2)[0],
        "early_feature_dim": early,
    }
