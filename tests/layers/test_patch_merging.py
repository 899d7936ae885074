"""Patch merging, compared with timm."""

import pytest

from keras_sam.layers.patch_merging import PatchMerging
from tests.layers.timm_parity import assert_equals_timm


@pytest.mark.parametrize(("strides", "part"), [(2, "merging"), (1, "merging_of_stride_1")])
def test_parity_with_timm(strides, part):
    assert_equals_timm(PatchMerging(12, strides=strides), part)
