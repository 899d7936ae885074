"""SAM's own encoder. Names and shapes are compared with transformers in `test_sam.py`."""

import pytest

from keras_sam.checkpoints import expected_shapes
from keras_sam.checkpoints.architectures.vit_det import attended_size, embedding_size, is_global
from keras_sam.checkpoints.meta.tensor_names import meta_names
from keras_sam.checkpoints.transformers.tensor_names import transformers_names
from tests.checkpoints.conftest import ENCODER, tiny_config
from tests.checkpoints.meta_names import to_meta_name

RECTANGLE = ENCODER | {"image_shape": [64, 96, 3], "patch_size": 16}


def test_attention_areas():
    assert embedding_size(RECTANGLE) == (4, 6)
    assert [is_global(RECTANGLE, index) for index in range(2)] == [False, True]
    assert [attended_size(RECTANGLE, index) for index in range(2)] == [(2, 2), (4, 6)]
    assert attended_size(RECTANGLE | {"window_size": 0}, 0) == (4, 6)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"use_abs_pos": False}, {"position_embedding"}),
        ({"use_bias": False}, {f"blocks_{i}/attention/qkv/bias" for i in range(2)}),
        (
            {"use_rel_pos": False},
            {f"blocks_{i}/attention/rel_pos_{axis}" for i in range(2) for axis in "hw"},
        ),
    ],
)
def test_optional_weights(changes, missing):
    config = tiny_config()["image_encoder"]["config"]
    shapes = expected_shapes("ViTDetBackbone", config)
    assert set(shapes) - set(expected_shapes("ViTDetBackbone", config | changes)) == missing


def test_meta_names_follow_the_published_map():
    config = tiny_config(num_heads=8)
    theirs = transformers_names(config, source="x")
    assert meta_names(config) == {name: to_meta_name(tensor) for name, tensor in theirs.items()}
