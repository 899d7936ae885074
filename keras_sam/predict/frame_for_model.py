"""`transform_for_model`: the one place where a model's preprocessing becomes a model frame."""

from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.transforms.image_transform import ImageTransform
from keras_sam.transforms.preprocessing import Preprocessing


def transform_for_model(model: SAMImageSegmenter, original_size: tuple[int, int]) -> ImageTransform:
    """The way of an image of `original_size` `(height, width)` into a model, and back."""
    height, width = model.backbone.image_shape[:2]
    return ImageTransform(original_size, (height, width), Preprocessing(**model.preprocessing))
