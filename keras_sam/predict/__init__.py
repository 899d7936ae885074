"""Prediction for one image: predictors, embeddings, automatic mask generation, tiles.

Names are imported at first use, so that `GeneratorConfig` can be used without Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_sam.predict.generator_config import GeneratorConfig
    from keras_sam.predict.image_embedding import ImageEmbedding
    from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
    from keras_sam.predict.predictor import Predictor
    from keras_sam.predict.sam_mask_generator import GenerationUpdate, SAMMaskGenerator
    from keras_sam.predict.sam_predictor import SAMPredictor
    from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator, TileUpdate

MODULE_OF_NAME = {
    "GenerationUpdate": "sam_mask_generator",
    "GeneratorConfig": "generator_config",
    "ImageEmbedding": "image_embedding",
    "MultiScalePredictor": "multi_scale_predictor",
    "Predictor": "predictor",
    "SAMMaskGenerator": "sam_mask_generator",
    "SAMPredictor": "sam_predictor",
    "TileUpdate": "tiled_mask_generator",
    "TiledMaskGenerator": "tiled_mask_generator",
}

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


def __getattr__(name: str) -> Any:
    if name in MODULE_OF_NAME:
        return getattr(import_module(f"keras_sam.predict.{MODULE_OF_NAME[name]}"), name)
    raise AttributeError(f"module 'keras_sam.predict' has no attribute '{name}'")
