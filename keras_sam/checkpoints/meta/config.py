"""`meta_config`: the config of a checkpoint of Meta, which has none, from its tensors' shapes."""

import math
import re
from collections.abc import Mapping
from typing import Any

from keras_sam.checkpoints.architectures.sam import check_size
from keras_sam.checkpoints.architectures.tiny_vit import PATCH_SIZE, STAGES
from keras_sam.checkpoints.architectures.tiny_vit_names import SIGNATURE
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.config import LARGEST_SIZE, parse_arguments

Shape = tuple[int, ...]

DECODER_HEADS = 8  # of every SAM; shapes do not tell
BLOCK = "image_encoder.blocks.{}."
TINY_VIT_BLOCK = "image_encoder.layers.{}.blocks.0."  # the first of a stage
TINY_VIT_IMAGE = [1024, 1024, 3]  # of every MobileSAM; shapes do not tell
DECODER_BLOCK = "mask_decoder.transformer.layers.{}."


def meta_config(shapes: Mapping[str, Shape], *, source: str) -> dict[str, Any]:
    """The constructor arguments of a `SAMBackbone` with these tensors.

    Args:
        shapes: tensor of Meta to its shape.
        source: what was read, for messages.

    Raises:
        CheckpointError: if a tensor that tells a size is missing or has other axes.
    """
    tensors = _Shapes(shapes, source)
    is_tiny_vit = SIGNATURE in shapes
    encoder = _tiny_vit(tensors) if is_tiny_vit else _encoder(tensors)
    decoder = _decoder(tensors)
    encoder["output_early_feature"] = decoder["early_feature_dim"] > 0
    width = tensors.axes("prompt_encoder.no_mask_embed.weight", 2)[1]
    size, patch = encoder["image_shape"][:2], encoder.get("patch_size", PATCH_SIZE)
    prompt_encoder = {
        "hidden_size": width,
        "image_embedding_size": [side // patch for side in size],
        "input_image_size": size,
        "mask_in_channels": tensors.axes("prompt_encoder.mask_downscaling.3.weight", 4)[0],
    }
    arguments = {
        "image_encoder": {
            "class_name": "TinyViTBackbone" if is_tiny_vit else "ViTDetBackbone",
            "config": encoder,
        },
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": prompt_encoder},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": decoder},
    }
    plain = parse_arguments("SAMBackbone", arguments, source=source)
    check_size("SAMBackbone", plain, source=source)
    return plain


class _Shapes:
    """Shapes by tensor, with an error that says what is missing."""

    def __init__(self, shapes: Mapping[str, Shape], source: str) -> None:
        self.shapes = shapes
        self.source = source

    def axes(self, tensor: str, count: int) -> Shape:
        """The shape of a tensor of `count` axes."""
        shape = self.shapes.get(tensor)
        if shape is None or len(shape) != count or not all(0 < n <= LARGEST_SIZE for n in shape):
            raise CheckpointError(
                f"'{self.source}' is not a SAM model of Meta: expected the tensor {tensor} with "
                f"{count} axes, found {'none' if shape is None else shape}"
            )
        return shape

    def count(self, pattern: str) -> int:
        """How many tensors match, such as one of each block."""
        return sum(re.fullmatch(pattern, tensor) is not None for tensor in self.shapes)


def _encoder(tensors: _Shapes) -> dict[str, Any]:
    width, channels, patch, _ = tensors.axes("image_encoder.patch_embed.proj.weight", 4)
    layers = tensors.count(r"image_encoder\.blocks\.\d+\.attn\.qkv\.weight")
    uses_abs_pos = "image_encoder.pos_embed" in tensors.shapes
    uses_rel_pos = f"{BLOCK.format(0)}attn.rel_pos_h" in tensors.shapes
    if not uses_abs_pos or not uses_rel_pos or not layers:
        raise CheckpointError(
            f"'{tensors.source}' lacks image_encoder.pos_embed, blocks, or their rel_pos_h, "
            "which tell the size of its images and heads"
        )
    _, rows, columns, _ = tensors.axes("image_encoder.pos_embed", 4)
    tables = [tensors.axes(f"{BLOCK.format(i)}attn.rel_pos_h", 2) for i in range(layers)]
    other = [tensors.axes(f"{BLOCK.format(i)}attn.rel_pos_w", 2) for i in range(layers)]
    # A table of 2 n - 1 rows is of windows of n tokens, or of the whole grid.
    is_global = [
        (high[0], wide[0]) == (2 * rows - 1, 2 * columns - 1)
        for high, wide in zip(tables, other, strict=True)
    ]
    windows = {
        (high[0] + 1) // 2 for high, whole in zip(tables, is_global, strict=True) if not whole
    }
    if len(windows) > 1:
        raise CheckpointError(
            f"'{tensors.source}' has windows of {sorted(windows)} tokens; expected one size"
        )
    return {
        "hidden_size": width,
        "num_layers": layers,
        "intermediate_dim": tensors.axes(f"{BLOCK.format(0)}mlp.lin1.weight", 2)[0],
        "num_heads": max(1, width // tables[0][1]),
        "global_attention_layer_indices": [i for i, whole in enumerate(is_global) if whole],
        "image_shape": [rows * patch, columns * patch, channels],
        "patch_size": patch,
        "num_output_channels": tensors.axes("image_encoder.neck.0.weight", 4)[0],
        "use_bias": f"{BLOCK.format(0)}attn.qkv.bias" in tensors.shapes,
        "window_size": windows.pop() if windows else 0,
    }


def _tiny_vit(tensors: _Shapes) -> dict[str, Any]:
    first = tensors.axes(SIGNATURE.replace("seq.0", "seq.2"), 4)[0]
    expanded = tensors.axes(f"{TINY_VIT_BLOCK.format(0)}conv1.c.weight", 4)[0]
    blocks = [TINY_VIT_BLOCK.format(stage) for stage in range(1, STAGES)]
    biases = [tensors.axes(f"{block}attn.attention_biases", 2) for block in blocks]
    hidden, width = tensors.axes(f"{blocks[0]}mlp.fc1.weight", 2)
    return {
        "hidden_sizes": [
            first,
            *(tensors.axes(f"{block}attn.proj.weight", 2)[0] for block in blocks),
        ],
        "depths": [
            tensors.count(rf"image_encoder\.layers\.{stage}\.blocks\.\d+\.\w+\.c\.weight")
            // (1 if stage else 3)  # a block of the first stage has three convolutions
            for stage in range(STAGES)
        ],
        "num_heads": [heads for heads, _ in biases],
        "window_sizes": [math.isqrt(distances) for _, distances in biases],
        "mlp_ratio": hidden // width,
        "mbconv_expansion": expanded // first,
        "image_shape": TINY_VIT_IMAGE,
        "num_output_channels": tensors.axes("image_encoder.neck.0.weight", 4)[0],
    }


def _decoder(tensors: _Shapes) -> dict[str, Any]:
    width = tensors.axes("mask_decoder.iou_token.weight", 2)[1]
    is_high_quality = "mask_decoder.hf_token.weight" in tensors.shapes
    return {
        "hidden_size": width,
        "embedding_dim": width,
        "num_layers": tensors.count(
            r"mask_decoder\.transformer\.layers\.\d+\.self_attn\.q_proj\.weight"
        ),
        "intermediate_dim": tensors.axes(f"{DECODER_BLOCK.format(0)}mlp.lin1.weight", 2)[0],
        "num_heads": DECODER_HEADS,
        "num_multimask_outputs": tensors.axes("mask_decoder.mask_tokens.weight", 2)[0] - 1,
        "iou_head_depth": tensors.count(r"mask_decoder\.iou_prediction_head\.layers\.\d+\.weight"),
        "iou_head_hidden_dim": tensors.axes("mask_decoder.iou_prediction_head.layers.0.weight", 2)[
            0
        ],
        "early_feature_dim": (
            tensors.axes("mask_decoder.compress_vit_feat.0.weight", 4)[0] if is_high_quality else 0
        ),
    }
