"""The smallest model that does everything, for tests that only need some model."""

import keras
import numpy as np

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone


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
