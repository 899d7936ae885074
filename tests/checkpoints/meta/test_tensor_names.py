from dataclasses import replace

import pytest

from keras_sam.checkpoints import CheckpointError, expected_shapes
from keras_sam.checkpoints.architectures import IMAGE_ENCODERS
from keras_sam.checkpoints.meta.tensor_names import (
    find_image_encoder,
    ignored_tensors,
    meta_names,
)
from keras_sam.checkpoints.transformers.tensor_names import transformers_names
from tests.checkpoints.conftest import tiny_config
from tests.checkpoints.meta_names import to_meta_name
from tests.checkpoints.mobile_sam import mobile_sam_config, mobile_sam_tensors


def high_quality_config():
    config = tiny_config(num_heads=8, early_feature_dim=16)
    config["image_encoder"]["config"]["output_early_feature"] = True
    return config


@pytest.mark.parametrize("config", [tiny_config(num_heads=8), high_quality_config()])
def test_names_follow_the_published_map(config):
    theirs = transformers_names(config, source="x")
    assert meta_names(config) == {name: to_meta_name(tensor) for name, tensor in theirs.items()}


def test_names_of_mobile_sam_are_those_of_its_file():
    names = meta_names(mobile_sam_config())
    tensors = mobile_sam_tensors()
    assert set(names.values()) == set(tensors) - ignored_tensors(tensors)
    assert set(names) == set(expected_shapes("SAMBackbone", mobile_sam_config()))


def test_image_encoder_is_found_by_its_signature():
    assert find_image_encoder(meta_names(tiny_config()).values()) == "ViTDetBackbone"
    assert find_image_encoder(mobile_sam_tensors()) == "TinyViTBackbone"
    assert find_image_encoder(["a", "b"]) is None


def test_tensors_are_ignored_only_for_their_encoder():
    unused = {"image_encoder.head.weight", "image_encoder.norm_head.bias"}
    assert ignored_tensors([*mobile_sam_tensors(), *unused]) >= unused
    without_signature = [name for name in mobile_sam_tensors() if "patch_embed" not in name]
    assert ignored_tensors(without_signature) == set()
    assert ignored_tensors([*meta_names(tiny_config()).values(), *unused]) == set()


def test_encoder_without_such_files_raises(monkeypatch):
    encoder = replace(IMAGE_ENCODERS["ViTDetBackbone"], meta=None)
    monkeypatch.setitem(IMAGE_ENCODERS, "ViTDetBackbone", encoder)
    with pytest.raises(CheckpointError, match="Meta's tensor names and a ViTDetBackbone"):
        meta_names(tiny_config())
