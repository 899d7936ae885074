"""`build_segmenter`: the architecture of the preset `sam_tiny_synthetic`."""

from typing import Any

from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.vit_det_backbone import ViTDetBackbone

DECODER_WIDTH = 128


def build_segmenter(image_size: int, *, dtype: Any = None) -> SAMImageSegmenter:
    """Build a segmenter of 4.7 million parameters with patches of 8 pixels.

    Args:
        image_size: Side of the images in pixels, a multiple of 8.
        dtype: Dtype policy.
    """
    encoder = ViTDetBackbone(
        hidden_size=192,
        num_layers=8,
        intermediate_dim=768,
        num_heads=6,
        global_attention_layer_indices=[2, 5, 7],
        image_shape=(image_size, image_size, 3),
        patch_size=8,
        num_output_channels=DECODER_WIDTH,
        window_size=8,
        dtype=dtype,
        name="image_encoder",
    )
    prompt_encoder = SAMPromptEncoder(
        hidden_size=DECODER_WIDTH,
        image_embedding_size=encoder.embedding_size,
        input_image_size=(image_size, image_size),
        dtype=dtype,
        name="prompt_encoder",
    )
    mask_decoder = SAMMaskDecoder(
        hidden_size=DECODER_WIDTH,
        num_layers=2,
        intermediate_dim=4 * DECODER_WIDTH,
        num_heads=4,
        embedding_dim=DECODER_WIDTH,
        iou_head_hidden_dim=DECODER_WIDTH,
        dtype=dtype,
        name="mask_decoder",
    )
    return SAMImageSegmenter(SAMBackbone(encoder, prompt_encoder, mask_decoder, dtype=dtype))
