"""Names in MobileSAM's checkpoints of the weights of a `TinyViTBackbone`.

Those of TinySAM and of Light HQ-SAM, which share its code, are the same.
"""

import re
from collections.abc import Iterable

# A tensor that every such checkpoint has, and no other.
SIGNATURE = "image_encoder.patch_embed.seq.0.c.weight"
# What such checkpoints hold, and the model does not use: a classifier of ImageNet, counters of
# training, and tables of indices that follow from the size of the windows.
UNUSED = re.compile(
    r"image_encoder\.(norm_head|head)\.(weight|bias)"
    r"|image_encoder\.(patch_embed|layers)\..*\.bn\.num_batches_tracked"
    r"|image_encoder\.layers\.\d+\.blocks\.\d+\.attn\.attention_bias_idxs"
)
TINY_VIT_PATTERN = re.compile(r"(image_encoder/)?(stages_|patch_embedding/conv)")
STEM = {"conv1": "patch_embed.seq.0", "conv2": "patch_embed.seq.2"}
SEGMENTS = {
    "attention": "attn",
    "distance_bias": "attention_biases",
    "layer_norm": "norm",
    "projection": "proj",
    "dense1": "fc1",
    "dense2": "fc2",
    "convolution": "c",
    "depthwise": "c",
    "batch_norm": "bn",
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def is_of_tiny_vit(name: str) -> bool:
    """Whether a weight is of a `TinyViTBackbone`, and of no other class; its neck is not."""
    return TINY_VIT_PATTERN.match(name) is not None


def tiny_vit_name(name: str) -> str:
    """The tensor of MobileSAM's checkpoints for a weight that `is_of_tiny_vit`."""
    layer, *segments = name.removeprefix("image_encoder/").split("/")
    if layer == "patch_embedding":
        place = STEM[segments.pop(0)]
    else:
        _, stage, kind, *block = layer.split("_")  # "stages_1_blocks_0", "stages_1_merging"
        place = ".".join(["layers", stage, *([kind, *block] if block else ["downsample"])])
        if segments[0] == "layer_norm":
            segments.insert(0, "mlp")  # there the norm is a part of the MLP
    return ".".join(["image_encoder", place, *(SEGMENTS.get(part, part) for part in segments)])


def ignored_tensors(names: Iterable[str]) -> set[str]:
    """The tensors of a checkpoint of MobileSAM that its model does not use; none of any other."""
    names = set(names)
    if SIGNATURE not in names:
        return set()
    return {name for name in names if UNUSED.fullmatch(name)}
