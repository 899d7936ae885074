"""The smallest model that does everything, for tests that only need some model."""

import keras

from keras_sam.layers import SAMMaskDecoder, SAMPromptEncoder
from keras_sam.models import SAMBackbone, SAMImageSegmenter, ViTDetBackbone


def tiny_model(*, num_layers: int = 2) -> SAMImageSegmenter:
    """Images of 64 x 64 pixels, random weights."""
    keras.utils.set_random_seed(0)
    backbone = SAMBackbone(
        ViTDetBackbone(
            hidden_size=8,
            num_layers=num_layers,
            intermediate_dim=16,
            num_heads=2,
            global_attention_layer_indices=[num_layers - 1],
            image_shape=(64, 64, 3),
            patch_size=16,
            num_output_channels=8,
            window_size=2,
        ),
        SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(4, 4),
            input_image_size=(64, 64),
            mask_in_channels=4,
        ),
        SAMMaskDecoder(
            hidden_size=8,
            num_layers=1,
            intermediate_dim=16,
            num_heads=2,
            embedding_dim=8,
            iou_head_hidden_dim=8,
        ),
    )
    return SAMImageSegmenter(backbone)
