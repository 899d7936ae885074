"""One image and its prompts into the model frame, and masks back. No models, no files."""

from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.inference_config import (
    InferenceConfig,
    MaskThresholds,
    describe_inference_config,
    parse_inference_config,
)
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.transforms.mask_refiner import MaskRefiner
from keras_sam.transforms.postprocessing import Postprocessing
from keras_sam.transforms.preprocessing import Preprocessing

__all__ = [
    "ImageTransform",
    "InferenceConfig",
    "MaskPostprocessor",
    "MaskRefiner",
    "MaskThresholds",
    "Postprocessing",
    "Preprocessing",
    "check_box",
    "check_points",
    "describe_inference_config",
    "parse_inference_config",
]
