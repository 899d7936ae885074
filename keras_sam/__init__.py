"""The Segment Anything Model for Keras 3."""

from keras_sam import layers, models

__all__ = ["layers", "models"]
