"""Keras layers of the Segment Anything Model, and the functions they call. No files."""

from keras_sam.layers.prompts import Prompts, resolve_prompts
from keras_sam.layers.sam_mask_decoder import SAMMaskDecoder
from keras_sam.layers.sam_prompt_encoder import SAMPromptEncoder
from keras_sam.layers.tiny_vit_block import TinyViTBlock
from keras_sam.layers.two_way_transformer import DecoderImageCache
from keras_sam.layers.vit_block import ViTBlock

__all__ = [
    "DecoderImageCache",
    "Prompts",
    "SAMMaskDecoder",
    "SAMPromptEncoder",
    "TinyViTBlock",
    "ViTBlock",
    "resolve_prompts",
]
