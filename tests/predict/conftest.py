"""A tiny model with random weights, and a photograph to prompt."""

import keras
import numpy as np
import pytest

from keras_sam.layers import SAMMaskDecoder, SAMPromptEncoder
from keras_sam.models import SAMBackbone, SAMImageSegmenter, ViTDetBackbone


def build_segmenter(seed: int, *, image_shape: tuple[int, int, int] = (64, 64, 3)):
    """A segmenter whose every weight is random, so that each input has an effect."""
    keras.utils.set_random_seed(seed)
    grid = (image_shape[0] // 8, image_shape[1] // 8)
    image_encoder = ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[1],
        patch_size=8,
        num_output_channels=16,
        window_size=3,
        image_shape=image_shape,
    )
    prompt_encoder = SAMPromptEncoder(
        hidden_size=16,
        image_embedding_size=grid,
        input_image_size=image_shape[:2],
        mask_in_channels=16,
    )
    mask_decoder = SAMMaskDecoder(
        num_layers=2,
        hidden_size=16,
        intermediate_dim=32,
        num_heads=2,
        embedding_dim=16,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=16,
    )
    model = SAMImageSegmenter(SAMBackbone(image_encoder, prompt_encoder, mask_decoder))
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape).astype("float32"))
    return model


@pytest.fixture(scope="session")
def segmenter() -> SAMImageSegmenter:
    return build_segmenter(0)


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (45, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def tiny_segmenter():
    """The function from a seed to a segmenter."""
    return build_segmenter
