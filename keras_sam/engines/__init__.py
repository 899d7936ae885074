"""One compiled runtime for each backend, behind one interface. No prompts, no images."""

from keras_sam.engines.create_engine import create_engine, engine_name
from keras_sam.engines.engine import Engine
from keras_sam.engines.int8_encoder import Int8Encoder

__all__ = ["Engine", "Int8Encoder", "create_engine", "engine_name"]
