"""Using a model: prompts to masks of one image, and how good they are."""

from keras_sam.predict.calibration import CalibrationBin, calibration_error
from keras_sam.predict.engine import Engine, create_engine, engine_class
from keras_sam.predict.evaluation import Evaluation, evaluate
from keras_sam.predict.frame_for_model import frame_for_model
from keras_sam.predict.image_embedding import ImageEmbedding
from keras_sam.predict.int8_encoder import Int8Encoder
from keras_sam.predict.mask_generator import MaskUpdate, SAMMaskGenerator
from keras_sam.predict.predictor import SAMPredictor
from keras_sam.predict.tiled_mask_generator import TiledMaskGenerator, TileUpdate
from keras_sam.predict.zoom_predictor import ZoomPredictor

__all__ = [
    "CalibrationBin",
    "Engine",
    "Evaluation",
    "ImageEmbedding",
    "Int8Encoder",
    "MaskUpdate",
    "SAMMaskGenerator",
    "SAMPredictor",
    "TileUpdate",
    "TiledMaskGenerator",
    "ZoomPredictor",
    "calibration_error",
    "create_engine",
    "engine_class",
    "evaluate",
    "frame_for_model",
]
