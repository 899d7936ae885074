"""`random_checkpoint`: a model of any size with random weights.

Random weights are enough to measure speed. Their scale is that of newly initialized layers, so that
no softmax saturates and outputs can be compared. IoU predictions are near 0.9, as in trained
models, and masks are patches of tokens.
"""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from keras_sam.checkpoints import Checkpoint, LazyArrays, expected_shapes, read_checkpoint

TRAINED = "trained"  # the small preset of the package, the only size with real masks
TINY = "tiny"  # for tests
PRESETS = {
    TINY: "sam_base_sa1b",  # with the changes below
    "base": "sam_base_sa1b",
    "large": "sam_large_sa1b",
    "huge": "sam_huge_sa1b",
    TRAINED: "sam_tiny_synthetic",
}
SIZES = tuple(PRESETS)
TINY_IMAGE_SIZE = 128
TINY_CHANGES: dict[str, dict[str, Any]] = {
    "image_encoder": {
        "hidden_size": 32,
        "num_layers": 2,
        "intermediate_dim": 64,
        "num_heads": 2,
        "global_attention_layer_indices": [1],
        "num_output_channels": 32,
        "window_size": 3,
    },
    "prompt_encoder": {"hidden_size": 32},
    "mask_decoder": {
        "hidden_size": 32,
        "intermediate_dim": 64,
        "embedding_dim": 32,
        "iou_head_hidden_dim": 32,
    },
}

MEAN_IOU, IOU_SPREAD = 0.9, 0.1  # of the IoU predictions
MASK_SCALE = 10.0  # so that some logits lie beyond the offsets of the stability score
STANDARD_DEVIATIONS = {
    "bias": 0.02,
    "gamma": 0.1,
    "beta": 0.1,
    "rel_pos_h": 0.1,
    "rel_pos_w": 0.1,
    "position_embedding": 0.1,
}


def random_checkpoint(size: str, image_size: int | None = None) -> Checkpoint:
    """Return a checkpoint with random weights, each of which is computed when it is used.

    Args:
        size: One of `SIZES`.
        image_size: Side of the images in pixels. Defaults to that of the size.

    Raises:
        ValueError: If the size is unknown.
    """
    if size not in SIZES:
        raise ValueError(f"no model size {size!r}; expected one of {', '.join(SIZES)}")
    checkpoint = read_checkpoint(PRESETS[size], load_weights=False)
    changes: Mapping[str, dict[str, Any]] = {}
    if size == TINY:
        changes = TINY_CHANGES
        image_size = image_size or TINY_IMAGE_SIZE
    parts = {
        name: dict(checkpoint.config[name]["config"]) | changes.get(name, {})
        for name in ("image_encoder", "prompt_encoder", "mask_decoder")
    }
    if image_size is not None:
        grid_size = image_size // parts["image_encoder"]["patch_size"]
        parts["image_encoder"]["image_shape"] = [image_size, image_size, 3]
        parts["prompt_encoder"]["image_embedding_size"] = [grid_size, grid_size]
        parts["prompt_encoder"]["input_image_size"] = [image_size, image_size]
    config = checkpoint.config | {
        name: checkpoint.config[name] | {"config": part} for name, part in parts.items()
    }
    return with_random_weights(replace(checkpoint, config=config))


def with_random_weights(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the same config and random weights, always the same ones."""
    shapes = expected_shapes(checkpoint.class_name, checkpoint.config)
    arrays = LazyArrays(shapes, lambda name: random_weight(name, shapes[name]))
    return replace(checkpoint, arrays=arrays)


def random_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a random weight, float32. The seed is its name."""
    part, _, leaf = name.rpartition("/")
    is_upscaling = "conv_transpose" in part and leaf == "kernel"
    # The same values for all pixels of a token, so that masks are patches instead of noise.
    random_shape = (1, 1, *shape[2:]) if is_upscaling else shape
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = np.broadcast_to(rng.standard_normal(random_shape, np.float32), shape).copy()
    if leaf == "kernel":
        num_inputs = shape[-1] if is_upscaling else np.prod(shape[:-1])
        values /= np.sqrt(np.float32(num_inputs))
    else:
        values *= STANDARD_DEVIATIONS.get(leaf, 1.0)
    if leaf == "gamma":
        values += 1
    if "hypernetworks" in part and part.endswith("dense3"):
        values *= MASK_SCALE
    if part.endswith("iou_head/dense3"):
        # All masks of a prompt have one IoU prediction, so that they pass a threshold together.
        values = np.broadcast_to(IOU_SPREAD * values[..., :1], shape)
        values = values + (MEAN_IOU if leaf == "bias" else 0)
    return values.astype(np.float32)
