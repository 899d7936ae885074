"""Paths of weights, against a preset that keras-hub 0.17 wrote, and against duplicates."""

from pathlib import Path

import h5py
import pytest

from keras_sam.checkpoints import expected_shapes, read_checkpoint
from keras_sam.checkpoints.keras_hub.weight_names import keras_hub_paths
from tests.checkpoints.conftest import tiny_config

KERAS_HUB_PRESET = Path(__file__).parents[2] / "models" / "keras_hub_0_17"


def dataset_paths(file):
    paths = set()
    with h5py.File(file) as opened:
        opened.visititems(
            lambda path, item: paths.add(path) if isinstance(item, h5py.Dataset) else None
        )
    return paths


def test_paths_are_those_of_keras_hub():
    config = read_checkpoint(KERAS_HUB_PRESET, load_weights=False).config
    paths = keras_hub_paths("SAMBackbone", config)
    assert set(paths.values()) == dataset_paths(KERAS_HUB_PRESET / "model.weights.h5")


@pytest.mark.parametrize("early_feature_dim", [0, 16])
def test_every_weight_has_its_own_path(early_feature_dim):
    config = tiny_config(early_feature_dim=early_feature_dim)
    paths = keras_hub_paths("SAMBackbone", config)
    assert set(paths) == set(expected_shapes("SAMBackbone", config))
    assert len(set(paths.values())) == len(paths)


def test_image_encoder_alone_has_the_same_paths():
    config = tiny_config()
    paths = keras_hub_paths("SAMBackbone", config)
    encoder = keras_hub_paths("ViTDetBackbone", config["image_encoder"]["config"])
    assert all(paths[f"image_encoder/{name}"] == path for name, path in encoder.items())
