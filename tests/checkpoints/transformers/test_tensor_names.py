"""Names of tensors. They are compared with the models of transformers in `test_sam.py`."""

import pytest

from keras_sam.checkpoints import CheckpointError, expected_shapes
from keras_sam.checkpoints.transformers.tensor_names import transformers_names
from tests.checkpoints.conftest import tiny_config
from tests.checkpoints.mobile_sam import mobile_sam_config


@pytest.mark.parametrize("decoder", [{}, {"iou_head_depth": 5}, {"early_feature_dim": 16}])
def test_every_weight_has_its_own_tensor(decoder):
    config = tiny_config(**decoder)
    names = transformers_names(config, source="x")
    assert set(names) == set(expected_shapes("SAMBackbone", config))
    assert len(set(names.values())) == len(names)


def test_layers_of_heads_of_any_depth():
    names = transformers_names(tiny_config(iou_head_depth=4), source="x")
    layers = [names[f"mask_decoder/iou_head/dense{index}/kernel"] for index in range(1, 5)]
    prefix = "mask_decoder.iou_prediction_head"
    parts = ("proj_in", "layers.0", "layers.1", "proj_out")
    assert layers == [f"{prefix}.{part}.weight" for part in parts]


def test_head_of_one_layer_raises():
    with pytest.raises(CheckpointError, match="iou_head_depth 1, expected 2 or more"):
        transformers_names(tiny_config(iou_head_depth=1), source="x")


def test_image_encoder_that_transformers_lacks_raises():
    with pytest.raises(ValueError, match="transformers has no TinyViTBackbone"):
        transformers_names(mobile_sam_config(), source="x")
