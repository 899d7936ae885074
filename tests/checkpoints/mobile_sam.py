"""A tiny MobileSAM as its code would save it: an encoder that timm computed, the rest random."""

from pathlib import Path

import numpy as np

from keras_sam.checkpoints import expected_shapes
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.meta.tensor_names import meta_name
from keras_sam.checkpoints.torch_layout import torch_shape

REFERENCE = Path(__file__).parent.parent / "timm_1_0_31" / "outputs.npz"
IMAGE_SHAPE = (64, 96, 3)  # of the input of timm
ENCODER = {
    "hidden_sizes": [8, 16, 20, 24],
    "depths": [1, 1, 2, 1],
    "num_heads": [2, 5, 3],
    "window_sizes": [3, 4, 3],
    "num_output_channels": 32,
}
PROMPTS = {"hidden_size": 32}
DECODER = {
    "hidden_size": 32,
    "embedding_dim": 32,
    "intermediate_dim": 24,
    "iou_head_hidden_dim": 16,
}


def mobile_sam_config() -> dict:
    parts = {
        "image_encoder": {"class_name": "TinyViTBackbone", "config": ENCODER},
        "prompt_encoder": {"class_name": "SAMPromptEncoder", "config": PROMPTS},
        "mask_decoder": {"class_name": "SAMMaskDecoder", "config": DECODER},
    }
    return parse_arguments("SAMBackbone", parts, source="MobileSAM")


def mobile_sam_tensors() -> dict[str, np.ndarray]:
    """Tensors by the names of MobileSAM, with those that the model does not use."""
    prefix = "encoder/weights/"
    with np.load(REFERENCE) as stored:
        tensors = {
            f"image_encoder.{name.removeprefix(prefix)}": stored[name]
            for name in stored
            if name.startswith(prefix)
        }
    random = np.random.default_rng(0)
    config = mobile_sam_config()
    for part in ("prompt_encoder", "mask_decoder"):
        for name, shape in expected_shapes(
            config[part]["class_name"], config[part]["config"]
        ).items():
            values = random.normal(0.0, 0.3, torch_shape(name, shape)).astype("float32")
            tensors[meta_name(f"{part}/{name}")] = values
    return tensors


def timm_outputs() -> dict[str, np.ndarray]:
    """`input` images, `output` embedding and `early` feature of the encoder."""
    with np.load(REFERENCE) as stored:
        return {name: stored[f"encoder/{name}"] for name in ("input", "output", "early")}
