"""One compiled runtime for each backend, behind one interface."""

from keras_sam.engines.engine import Engine, create_engine, engine_class
from keras_sam.engines.int8_encoder import Int8Encoder

__all__ = [
    "Engine",
    "Int8Encoder",
    "create_engine",
    "engine_class",
]
