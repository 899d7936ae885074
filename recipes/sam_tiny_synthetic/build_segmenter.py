"""`tiny_segmenter`: the architecture of the built-in tiny preset."""

from typing import Any

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone


def tiny_segmenter(image_size: int, *, dtype: Any = None) -> SAMImageSegmenter:
    """The architecture of `sam_tiny_synthetic`: 4.7 million parameters, patches of 8 pixels."""
    width = 128
    encoder = ViTDetBackbone(
        hidden_size=192,
        num_layers=8,
        intermediate_dim=768,
        num_heads=6,
        global_attention_layer_indices=[2, 5, 7],
        image_shape=(image_size, image_size, 3),
        patch_size=8,
        num_output_channels=width,
        window_size=8,
        dtype=dtype,
        name="image_encoder",
    )
    prompt_encoder = SAMPromptEncoder(
        hidden_size=width,
        image_embedding_size=encoder.embedding_size,
        input_image_size=(image_size, image_size),
        dtype=dtype,
        name="prompt_encoder",
    )
    mask_decoder = SAMMaskDecoder(
        hidden_size=width,
        num_layers=2,
        intermediate_dim=4 * width,
        num_heads=4,
        embedding_dim=width,
        iou_head_hidden_dim=width,
        dtype=dtype,
        name="mask_decoder",
    )
    return SAMImageSegmenter(SAMBackbone(encoder, prompt_encoder, mask_decoder, dtype=dtype))
