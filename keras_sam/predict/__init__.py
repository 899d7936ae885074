"""Prediction for one image: predictors, embeddings, automatic mask generation, tiles."""

from keras_sam.predict.generator_config import GeneratorConfig
from keras_sam.predict.image_embedding import ImageEmbedding
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import Predictor
from keras_sam.predict.sam_mask_generator import GenerationUpdate, SAMMaskGenerator
from keras_sam.predict.sam_predictor import SAMPredictor
from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator, TileUpdate

__all__ = [
    "GenerationUpdate",
    "GeneratorConfig",
    "ImageEmbedding",
    "MultiScalePredictor",
    "Predictor",
    "SAMMaskGenerator",
    "SAMPredictor",
    "TileUpdate",
    "TiledMaskGenerator",
]
