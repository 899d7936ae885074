"""Inverted residual blocks, compared with timm."""

from keras_sam.layers.mbconv import MBConv
from tests.layers.timm_parity import assert_equals_timm


def test_parity_with_timm():
    assert_equals_timm(MBConv(8), "mbconv")
