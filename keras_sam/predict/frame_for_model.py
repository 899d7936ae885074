"""`frame_for_model`: the one place where a model's preprocessing becomes a model frame."""

from keras_sam.geometry import ModelFrame, Preprocessing
from keras_sam.models import SAMImageSegmenter


def frame_for_model(model: SAMImageSegmenter, original_size: tuple[int, int]) -> ModelFrame:
    """The way of an image of `original_size` `(height, width)` into a model, and back."""
    height, width = model.backbone.image_shape[:2]
    return ModelFrame(original_size, (height, width), Preprocessing(**model.preprocessing))
