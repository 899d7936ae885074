"""The Segment Anything Model for Keras 3."""

from keras_sam import layers, models, predict, train
from keras_sam.predict import ImageEmbedding, SAMPredictor

__all__ = ["ImageEmbedding", "SAMPredictor", "layers", "models", "predict", "train"]
