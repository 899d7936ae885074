"""`meta_names`: the tensor in Meta's files, and in those of SAM-HQ, of each weight."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras_sam.checkpoints.architectures.image_encoder import MetaEncoder
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import IMAGE_ENCODER, SAM, expected_shapes
from keras_sam.checkpoints.torch_layout import TORCH_VARIABLES
from keras_sam.errors import CheckpointError

WHOLE_NAMES = {
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
# Layers that are in a list in Meta's code, by their index in it.
UPSCALER = {"conv_transpose1": 0, "layer_norm": 1, "conv_transpose2": 3}
NUMBERED = {
    "mask_downscaler": {
        "conv1": 0,
        "layer_norm1": 1,
        "conv2": 3,
        "layer_norm2": 4,
        "conv3": 6,
    },
    "upscaler": UPSCALER,
    "early_encoder": UPSCALER,
    "embedding_encoder": UPSCALER,
    "refiner": {"conv1": 0, "layer_norm": 1, "conv2": 3},
}
SEGMENTS = TORCH_VARIABLES | {
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
}


def meta_names(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the tensor of each weight.

    Args:
        config: Config of a `SAMBackbone`.

    Raises:
        CheckpointError: If there are no such files with the model's image encoder.
    """
    encoder = meta_encoder(config[IMAGE_ENCODER]["class_name"])
    names = {}
    for name in expected_shapes(SAM, config):
        part, _, rest = name.partition("/")
        names[name] = encoder.tensor_name(rest) if part == IMAGE_ENCODER else meta_name(name)
    return names


def meta_name(name: str) -> str:
    """Return the tensor of a weight of the prompt encoder or the mask decoder."""
    if name in WHOLE_NAMES:
        return WHOLE_NAMES[name]
    segments: list[str] = []
    parent = ""
    # The authors of SAM-HQ put its layers next to those of the decoder.
    for part in name.replace("/high_quality/", "/").split("/"):
        segments.append(_segment(part, parent))
        parent = part
    return ".".join(segments)


def find_image_encoder(names: Iterable[str]) -> str | None:
    """Return the class of the image encoder whose tensors a file has, or `None`.

    Args:
        names: Names of all tensors of the file.
    """
    names = set(names)
    for class_name, encoder in IMAGE_ENCODERS.items():
        if encoder.meta is not None and encoder.meta.signature in names:
            return class_name
    return None


def ignored_tensors(names: Iterable[str]) -> set[str]:
    """Return the tensors of a file that a model with its image encoder does not use.

    Args:
        names: Names of all tensors of the file.
    """
    names = set(names)
    class_name = find_image_encoder(names)
    pattern = None if class_name is None else meta_encoder(class_name).ignored
    return set() if pattern is None else {name for name in names if pattern.fullmatch(name)}


def meta_encoder(class_name: str) -> MetaEncoder:
    """Return the entry of an image encoder in the table.

    Raises:
        CheckpointError: If there are no files with Meta's names and this encoder.
    """
    encoder = IMAGE_ENCODERS[class_name].meta
    if encoder is None:
        raise CheckpointError(f"there is no SAM model with Meta's tensor names and a {class_name}")
    return encoder


def _segment(part: str, parent: str) -> str:
    if parent in NUMBERED:
        return str(NUMBERED[parent][part])
    if part.startswith("blocks_"):
        return f"layers.{part.removeprefix('blocks_')}"
    if part.startswith("hypernetworks_"):
        return f"output_hypernetworks_mlps.{part.removeprefix('hypernetworks_')}"
    if part.startswith("dense"):
        number = int(part.removeprefix("dense"))
        return f"lin{number}" if parent == "mlp" else f"layers.{number - 1}"
    return SEGMENTS.get(part, part)
