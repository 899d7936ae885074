"""What a user builds, loads and trains: backbones and the segmenter. No runtimes."""

from keras_sam.models.backbone import Backbone
from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.models.sam_image_converter import SAMImageConverter
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.models.sam_image_segmenter_preprocessor import SAMImageSegmenterPreprocessor
from keras_sam.models.tiny_vit_backbone import TinyViTBackbone
from keras_sam.models.vit_det_backbone import ViTDetBackbone
from keras_sam.models.weight_names import weights_by_name

__all__ = [
    "Backbone",
    "SAMBackbone",
    "SAMImageConverter",
    "SAMImageSegmenter",
    "SAMImageSegmenterPreprocessor",
    "TinyViTBackbone",
    "ViTDetBackbone",
    "weights_by_name",
]
