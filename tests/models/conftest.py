"""A tiny model that tests of models share."""

import keras
import numpy as np
import pytest

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone


def build_backbone(*, image_shape=(32, 48, 3), dtype=None, **encoder) -> SAMBackbone:
    """A backbone of width 32 for a rectangle of 32 x 48 pixels, with random weights."""
    settings = {
        "hidden_size": 16,
        "num_layers": 2,
        "intermediate_dim": 32,
        "num_heads": 2,
        "global_attention_layer_indices": [1],
        "patch_size": 8,
        "num_output_channels": 32,
        "window_size": 3,
    }
    keras.utils.set_random_seed(1)
    image_encoder = ViTDetBackbone(image_shape=image_shape, dtype=dtype, **settings | encoder)
    prompt_encoder = SAMPromptEncoder(
        hidden_size=32,
        image_embedding_size=image_encoder.embedding_size,
        input_image_size=image_shape[:2],
        dtype=dtype,
    )
    mask_decoder = SAMMaskDecoder(
        hidden_size=32,
        intermediate_dim=32,
        num_heads=2,
        embedding_dim=32,
        iou_head_hidden_dim=16,
        dtype=dtype,
    )
    return SAMBackbone(image_encoder, prompt_encoder, mask_decoder, dtype=dtype)


def without_xla(segmenter: SAMImageSegmenter) -> SAMImageSegmenter:
    """The segmenter, which TensorFlow compiles without XLA: many times faster in tests."""
    if keras.backend.backend() == "tensorflow":
        segmenter.jit_compile = False
    return segmenter


@pytest.fixture(scope="session")
def backbone() -> SAMBackbone:
    return build_backbone()


@pytest.fixture(scope="session")
def prepared_segmenter(backbone) -> SAMImageSegmenter:
    """The tiny segmenter of prepared inputs. Tests must not change it."""
    return without_xla(SAMImageSegmenter(backbone, preprocessor=None))


@pytest.fixture(scope="session")
def raw_segmenter(backbone) -> SAMImageSegmenter:
    """The tiny segmenter of raw images. Tests must not change it."""
    return without_xla(SAMImageSegmenter.from_backbone(backbone))


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    """One prompt for each of two images: two points, a box and a mask."""
    rng = np.random.default_rng(0)
    return {
        "images": rng.random((2, 32, 48, 3), dtype="float32"),
        "points": rng.uniform(0, 32, (2, 2, 2)).astype("float32"),
        "labels": np.array([[1, 0], [1, -1]], "int32"),
        "boxes": np.array([[[[2, 3], [30, 20]]], [[[5, 5], [40, 31]]]], "float32"),
        "masks": rng.normal(size=(2, 1, 16, 24, 1)).astype("float32"),
    }


@pytest.fixture(scope="session")
def make_backbone():
    """The function that builds the tiny backbone, for other settings."""
    return build_backbone
