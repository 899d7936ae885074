"""Scenes on disk."""

import numpy as np
import pytest

from recipes.sam_tiny_synthetic import scene_dataset
from recipes.sam_tiny_synthetic.scene_dataset import SceneDataset, build_scene_dataset
from recipes.sam_tiny_synthetic.scenes.scene import draw_scene


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> SceneDataset:
    """Five scenes in shards of two."""
    monkeypatch.setattr(scene_dataset, "SHARD_SIZE", 2)
    return build_scene_dataset(tmp_path, count=5, seed=2, size=48)


def test_scenes_are_those_of_the_seed(dataset):
    assert len(dataset) == 5
    for index in range(5):
        expected = draw_scene(2_000_000 + index, 48)
        np.testing.assert_array_equal(dataset[index].image, expected.image)
        np.testing.assert_array_equal(dataset[index].masks(), expected.masks())
    with pytest.raises(IndexError):
        dataset[5]


def test_only_missing_shards_are_drawn(dataset, tmp_path):
    (tmp_path / "00001.images.npy").unlink()
    completed = []
    again = build_scene_dataset(tmp_path, count=5, seed=3, size=48, progress=completed.append)
    assert completed == [5]
    np.testing.assert_array_equal(again[0].image, draw_scene(2_000_000, 48).image)
    np.testing.assert_array_equal(again[2].image, draw_scene(3_000_002, 48).image)


def test_an_empty_directory_raises(tmp_path):
    with pytest.raises(ValueError, match="no scenes"):
        SceneDataset.open(tmp_path)
