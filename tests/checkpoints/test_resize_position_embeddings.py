import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings


@pytest.mark.parametrize("size", [(96, 32), (128, 128), (80, 112), (32, 32)])
def test_tables_equal_those_of_torch(tiny, size):
    adapted = resize_position_embeddings(tiny, (*size, 3))
    height, width = size[0] // 16, size[1] // 16
    shapes = expected_shapes(adapted.class_name, adapted.config)
    assert {name: array.shape for name, array in adapted.arrays.items()} == shapes
    table = torch.tensor(tiny.arrays["image_encoder/position_embedding"]).permute(0, 3, 1, 2)
    table = interpolate(table, (height, width), mode="bicubic", align_corners=False)
    found = adapted.arrays["image_encoder/position_embedding"]
    np.testing.assert_allclose(found, table.permute(0, 2, 3, 1), atol=1e-5)
    for axis, side in (("h", height), ("w", width)):
        name = f"image_encoder/blocks_1/attention/rel_pos_{axis}"
        rows = interpolate(torch.tensor(tiny.arrays[name]).T[None], 2 * side - 1, mode="linear")
        np.testing.assert_allclose(adapted.arrays[name], rows[0].T, atol=1e-5)
        name = name.replace("blocks_1", "blocks_0")
        assert adapted.arrays[name] is tiny.arrays[name]


def test_the_config_follows(tiny):
    config = resize_position_embeddings(tiny, (96, 32, 3)).config
    assert config["image_encoder"]["config"]["image_shape"] == [96, 32, 3]
    assert config["prompt_encoder"]["config"]["image_embedding_size"] == [6, 2]
    assert config["prompt_encoder"]["config"]["input_image_size"] == [96, 32]
    assert tiny.config["image_encoder"]["config"]["image_shape"] == [64, 64, 3]


@pytest.mark.parametrize("shape", [(65, 64, 3), (64, 64), (64, 64, 1), (0, 64, 3)])
def test_shapes_that_do_not_fit(tiny, shape):
    with pytest.raises(CheckpointError, match="image_shape"):
        resize_position_embeddings(tiny, shape)


@pytest.mark.parametrize("image_shape", [96, None, (None, None, 3), (64, 64), (64, 64, 1), "big"])
def test_what_is_no_shape(tiny, image_shape):
    with pytest.raises(CheckpointError, match=r"three integers \(height, width, 3\)"):
        resize_position_embeddings(tiny, image_shape)


@pytest.mark.parametrize("image_shape", [(0, 64, 3), (-16, 64, 3), (64, 70, 3)])
def test_sides_that_are_no_multiples(tiny, image_shape):
    with pytest.raises(CheckpointError, match="multiples of the patch size 16"):
        resize_position_embeddings(tiny, image_shape)
