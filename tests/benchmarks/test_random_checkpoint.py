import numpy as np
import pytest

from benchmarks.random_checkpoint import random_checkpoint, random_weight


def test_weights_are_always_the_same():
    first, second = random_checkpoint("tiny"), random_checkpoint("tiny")
    assert list(first.arrays) == list(second.arrays)
    for name in first.arrays:
        np.testing.assert_array_equal(first.arrays[name], second.arrays[name])


def test_weights_of_equal_shape_differ():
    assert not np.array_equal(random_weight("a/kernel", (4, 4)), random_weight("b/kernel", (4, 4)))


def test_dense_layer_keeps_the_scale_of_its_inputs():
    kernel = random_weight("mlp/kernel", (400, 300))
    outputs = np.random.default_rng(0).standard_normal((50, 400)) @ kernel
    assert outputs.std() == pytest.approx(1, abs=0.05)


def test_image_size_changes_the_embedding_grid():
    config = random_checkpoint("base", 512).config
    assert config["image_encoder"]["config"]["image_shape"] == [512, 512, 3]
    assert config["prompt_encoder"]["config"]["image_embedding_size"] == [32, 32]


def test_unknown_size_raises():
    with pytest.raises(ValueError, match="no model size 'giant'"):
        random_checkpoint("giant")
