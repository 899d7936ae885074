"""`IMAGE_ENCODERS`: the table of image encoders. A new encoder is a module here and a row."""

from keras_sam.checkpoints.architectures.image_encoder import ImageEncoderFormat
from keras_sam.checkpoints.architectures.tiny_vit import TINY_VIT
from keras_sam.checkpoints.architectures.vit_det import VIT_DET

IMAGE_ENCODERS: dict[str, ImageEncoderFormat] = {
    "ViTDetBackbone": VIT_DET,
    "TinyViTBackbone": TINY_VIT,
}
