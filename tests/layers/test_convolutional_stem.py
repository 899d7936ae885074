"""The stem of TinyViT, compared with timm."""

from keras_sam.layers.convolutional_stem import ConvolutionalStem
from tests.layers.timm_parity import assert_equals_timm


def test_parity_with_timm():
    assert_equals_timm(ConvolutionalStem(8), "stem")
