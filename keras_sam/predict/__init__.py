"""One image: predictor, embeddings, automatic mask generation, tiles, crops."""

from keras_sam.predict.frame_for_model import transform_for_model
from keras_sam.predict.image_embedding import ImageEmbedding
from keras_sam.predict.mask_generator import GenerationUpdate, SAMMaskGenerator
from keras_sam.predict.multi_scale_predictor import MultiScalePredictor
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator, TileUpdate

__all__ = [
    "GenerationUpdate",
    "ImageEmbedding",
    "MultiScalePredictor",
    "SAMMaskGenerator",
    "SAMPredictor",
    "TileUpdate",
    "TiledMaskGenerator",
    "transform_for_model",
]
