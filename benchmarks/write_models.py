"""`write_model`: the same weights in the form of each implementation.

Random weights do for speed: their scale is that of freshly made layers, so that no softmax is
saturated and outputs can be compared. Ratings come out near 0.9, as those of trained models, and
masks as patches of tokens.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import ModelFiles
from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import Checkpoint
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.keras_hub.preset import write_keras_hub
from keras_sam.checkpoints.meta.checkpoint import write_meta
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.model import write_transformers
from keras_sam.errors import CheckpointError

TRAINED = "trained"  # the small preset of the package, whose masks are real
PRESETS = {
    "base": "sam_base_sa1b",
    "large": "sam_large_sa1b",
    "huge": "sam_huge_sa1b",
    TRAINED: "sam_tiny_synthetic",
}
TINY = "tiny"  # for tests
SIZES = (TINY, *PRESETS)
TINY_ENCODER = {
    "hidden_size": 32,
    "num_layers": 2,
    "intermediate_dim": 64,
    "num_heads": 2,
    "global_attention_layer_indices": [1],
    "num_output_channels": 32,
    "window_size": 3,
}
TINY_DECODER = {
    "hidden_size": 32,
    "intermediate_dim": 64,
    "embedding_dim": 32,
    "iou_head_hidden_dim": 32,
}
TINY_IMAGE_SIZE = 128

RATING, RATING_SPREAD = 0.9, 0.1
MASK_SCALE = 10.0  # so that some logits lie beyond the offsets of the stability score
STANDARD_DEVIATIONS = {
    "bias": 0.02,
    "gamma": 0.1,
    "beta": 0.1,
    "rel_pos_h": 0.1,
    "rel_pos_w": 0.1,
    "position_embedding": 0.1,
}


def write_model(
    size: str, directory: Path, *, image_size: int | None = None, with_meta: bool = False
) -> ModelFiles:
    """The files of a model; those that an earlier run wrote are used again.

    Args:
        size: one of `SIZES`.
        directory: where folders of all models lie.
        image_size: side of the images, if not the model's own; not of the trained one.
        with_meta: whether to write the form of Meta's code too, for checkouts.
    """
    checkpoint = model_of(size, image_size)
    side = checkpoint.config["image_encoder"]["config"]["image_shape"][0]
    files = ModelFiles((directory / f"{size}-{side}").resolve(), side)
    files.directory.mkdir(parents=True, exist_ok=True)
    if size == TRAINED:
        if not files.transformers.exists():
            source = PRESETS[size]
            convert_checkpoint(source, files.transformers, to="transformers", dtype="float32")
        if not files.keras.exists():
            convert_checkpoint(PRESETS[size], files.keras, to="keras", dtype="float32")
    else:
        if not files.transformers.exists():
            write_transformers(files.transformers, checkpoint, dtype="float32")
        if not files.keras.exists():
            write_keras_hub(files.keras, checkpoint, task=True)
    if with_meta and not files.meta.exists():
        _write_meta(files, checkpoint)
    return files


def model_of(size: str, image_size: int | None = None) -> Checkpoint:
    """The config of a size, with random weights that are drawn when they are read."""
    if size not in SIZES:
        raise ValueError(f"no model of size {size!r}; there are {', '.join(SIZES)}")
    checkpoint = read_checkpoint(PRESETS.get(size, PRESETS["base"]), load_weights=False)
    parts: dict[str, Any] = {
        name: dict(checkpoint.config[name]["config"])
        for name in ("image_encoder", "prompt_encoder", "mask_decoder")
    }
    if size == TINY:
        parts["image_encoder"] |= TINY_ENCODER
        parts["prompt_encoder"] |= {"hidden_size": TINY_DECODER["hidden_size"]}
        parts["mask_decoder"] |= TINY_DECODER
        image_size = image_size or TINY_IMAGE_SIZE
    if image_size is not None and size != TRAINED:
        patch = parts["image_encoder"]["patch_size"]
        parts["image_encoder"]["image_shape"] = [image_size, image_size, 3]
        parts["prompt_encoder"]["image_embedding_size"] = [image_size // patch] * 2
        parts["prompt_encoder"]["input_image_size"] = [image_size, image_size]
    config = checkpoint.config | {
        name: checkpoint.config[name] | {"config": part} for name, part in parts.items()
    }
    arrays = RandomWeights(expected_shapes(checkpoint.class_name, config))
    return replace(checkpoint, config=config, arrays=arrays)


class RandomWeights(Mapping[str, np.ndarray]):
    """Random weights of given shapes, always the same, drawn when they are read."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = shapes

    def __getitem__(self, name: str) -> np.ndarray:
        return random_weight(name, self.shapes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def random_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight whose seed is its name."""
    part, _, leaf = name.rpartition("/")
    is_upscaling = "conv_transpose" in part and leaf == "kernel"
    # The same for all pixels that a token becomes, so that masks are patches instead of noise.
    drawn = (1, 1, *shape[2:]) if is_upscaling else shape
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(drawn, np.float32)
    values = np.broadcast_to(values, shape).copy()
    if leaf == "kernel":
        inputs = shape[-1] if is_upscaling else np.prod(shape[:-1])
        values /= np.sqrt(np.float32(inputs))
    else:
        values *= STANDARD_DEVIATIONS.get(leaf, 1.0)
    if leaf == "gamma":
        values += 1
    if "hypernetworks" in part and part.endswith("dense3"):
        values *= MASK_SCALE
    if part.endswith("iou_head/dense3"):
        # The masks of a prompt pass together, so that ratings tell prompts apart.
        values = np.broadcast_to(RATING_SPREAD * values[..., :1], shape)
        values = values + (RATING if leaf == "bias" else 0)
    return values.astype(np.float32)


def encoder_gflop(checkpoint: Checkpoint) -> float:
    """Work of the image encoder on an image, that on the padding of windows left out.

    Two operations for each multiplication and addition of its matrix products; 942 of ViT-B.
    """
    config = checkpoint.config["image_encoder"]["config"]
    width, patch = config["hidden_size"], config["patch_size"]
    side, window = config["image_shape"][0] // patch, config["window_size"]
    tokens, layers = side * side, config["num_layers"]
    whole = len(config["global_attention_layer_indices"])
    padded = -(-side // window) * window  # keys of padding take part in the softmax
    products = layers * tokens * width * (4 * width + 2 * config["intermediate_dim"])
    attention = whole * 2 * tokens * tokens * width
    attention += (layers - whole) * 2 * padded**2 * window**2 * width
    positions = whole * tokens * 2 * side * width
    positions += (layers - whole) * padded**2 * 2 * window * width
    outputs = config["num_output_channels"]
    neck = tokens * outputs * (width + 9 * outputs)
    first = tokens * 3 * patch**2 * width
    return 2 * (first + products + attention + positions + neck) / 1e9


def _write_meta(files: ModelFiles, checkpoint: Checkpoint) -> None:
    try:
        write_meta(files.meta, checkpoint, dtype="float32")
    except CheckpointError:
        return  # not every model fits that form; its absence tells the contender
