import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from keras_sam.checkpoints import CheckpointError, expected_shapes, resize_position_embeddings
from tests.checkpoints.conftest import image_encoder_of, random_checkpoint
from tests.checkpoints.mobile_sam import mobile_sam_config


@pytest.mark.parametrize("size", [(96, 32), (128, 128), (80, 112), (32, 32)])
def test_tables_equal_those_of_torch(tiny, size):
    resized = resize_position_embeddings(tiny, (*size, 3))
    height, width = size[0] // 16, size[1] // 16
    shapes = expected_shapes(resized.class_name, resized.config)
    assert {name: array.shape for name, array in resized.arrays.items()} == shapes
    table = torch.tensor(tiny.arrays["image_encoder/position_embedding"]).permute(0, 3, 1, 2)
    table = interpolate(table, (height, width), mode="bicubic", align_corners=False)
    positions = resized.arrays["image_encoder/position_embedding"]
    np.testing.assert_allclose(positions, table.permute(0, 2, 3, 1), atol=1e-5)
    for axis, side in (("h", height), ("w", width)):
        name = f"image_encoder/blocks_1/attention/rel_pos_{axis}"
        rows = interpolate(torch.tensor(tiny.arrays[name]).T[None], 2 * side - 1, mode="linear")
        np.testing.assert_allclose(resized.arrays[name], rows[0].T, atol=1e-5)


def test_tables_of_windows_are_unchanged(tiny):
    resized = resize_position_embeddings(tiny, (96, 32, 3))
    for axis in ("h", "w"):
        name = f"image_encoder/blocks_0/attention/rel_pos_{axis}"
        assert resized.arrays[name] is tiny.arrays[name]


def test_config_has_the_new_size(tiny):
    config = resize_position_embeddings(tiny, (96, 32, 3)).config
    assert config["image_encoder"]["config"]["image_shape"] == [96, 32, 3]
    assert config["prompt_encoder"]["config"]["image_embedding_size"] == [6, 2]
    assert config["prompt_encoder"]["config"]["input_image_size"] == [96, 32]
    assert tiny.config["image_encoder"]["config"]["image_shape"] == [64, 64, 3]


def test_same_size_returns_the_checkpoint(tiny):
    assert resize_position_embeddings(tiny, (64, 64, 3)) is tiny


def test_image_encoder_alone(tiny):
    resized = resize_position_embeddings(image_encoder_of(tiny), (96, 32, 3))
    assert resized.arrays["position_embedding"].shape == (1, 6, 2, 16)


def test_encoder_without_position_tables_keeps_its_weights():
    mobile_sam = random_checkpoint(mobile_sam_config())
    resized = resize_position_embeddings(mobile_sam, (64, 96, 3))
    assert resized.config["prompt_encoder"]["config"]["image_embedding_size"] == [4, 6]
    assert all(resized.arrays[name] is array for name, array in mobile_sam.arrays.items())


@pytest.mark.parametrize("image_shape", [96, None, (None, None, 3), (64, 64), (64, 64, 1), "big"])
def test_other_values_than_a_shape_raise(tiny, image_shape):
    with pytest.raises(CheckpointError, match=r"three integers \(height, width, 3\)"):
        resize_position_embeddings(tiny, image_shape)


@pytest.mark.parametrize("image_shape", [(0, 64, 3), (-16, 64, 3), (64, 70, 3), (65, 64, 3)])
def test_sides_that_are_not_multiples_of_the_patch_raise(tiny, image_shape):
    with pytest.raises(CheckpointError, match="multiples of the patch size 16"):
        resize_position_embeddings(tiny, image_shape)


def test_sides_of_an_encoder_without_patch_argument_are_checked():
    with pytest.raises(CheckpointError, match="multiples of the patch size 16"):
        resize_position_embeddings(random_checkpoint(mobile_sam_config()), (64, 100, 3))
