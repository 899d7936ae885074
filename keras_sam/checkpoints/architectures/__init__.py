"""Arguments, weights and names of each part of a model in every format; reads no files."""

from keras_sam.checkpoints.architectures.image_encoder import (
    ImageEncoderFormat,
    KerasHubEncoder,
    MetaEncoder,
    TransformersEncoder,
)
from keras_sam.checkpoints.architectures.registry import IMAGE_ENCODERS
from keras_sam.checkpoints.architectures.sam import expected_shapes

__all__ = [
    "IMAGE_ENCODERS",
    "ImageEncoderFormat",
    "KerasHubEncoder",
    "MetaEncoder",
    "TransformersEncoder",
    "expected_shapes",
]
