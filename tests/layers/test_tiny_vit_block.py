"""Attention blocks of TinyViT, compared with timm."""

import pytest

from keras_sam.layers.tiny_vit_block import TinyViTBlock
from tests.layers.timm_parity import assert_equals_timm


@pytest.mark.parametrize("part", ["block_of_one_window", "block_of_padded_windows"])
def test_parity_with_timm(part):
    layer = TinyViTBlock(3, 24, hidden_size=12, window_size=4)
    assert_equals_timm(layer, part)
