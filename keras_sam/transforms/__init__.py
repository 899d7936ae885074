"""One image and its prompts into the model's frame, and masks back to the original."""

from keras_sam.transforms.check_prompts import check_box, check_points
from keras_sam.transforms.fit_mask_to_box import expand_mask_to_box
from keras_sam.transforms.guided_filter import GuidedFilterRefiner
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.mask_postprocessor import MaskPostprocessor
from keras_sam.transforms.preprocessing import Preprocessing

__all__ = [
    "GuidedFilterRefiner",
    "ImageTransform",
    "MaskPostprocessor",
    "Preprocessing",
    "check_box",
    "check_points",
    "expand_mask_to_box",
]
