"""Files of MobileSAM and TinySAM: read, written again, converted, damaged.

That the numbers are those of another implementation is checked in
tests/models/test_tiny_vit_backbone.py.
"""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from keras_sam.checkpoints.architectures.sam import expected_shapes
from keras_sam.checkpoints.architectures.tiny_vit_names import ignored_tensors
from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.convert_checkpoint import convert_checkpoint
from keras_sam.checkpoints.inspect_checkpoint import inspect_checkpoint
from keras_sam.checkpoints.keras_hub.config import parse_arguments
from keras_sam.checkpoints.keras_hub.weight_names import keras_hub_paths
from keras_sam.checkpoints.meta.write_meta import write_meta
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.resize_position_embeddings import resize_position_embeddings
from tests.checkpoints.mobile_sam import mobile_sam_config, mobile_sam_tensors

COUNTERS = 2 + 4 * 3 + 4  # one for each batch norm: stem, mergings and first stage, blocks


@pytest.fixture(scope="module")
def tensors():
    return mobile_sam_tensors()


@pytest.fixture
def safetensors(tensors, tmp_path):
    save_file(tensors, tmp_path / "mobile_sam.safetensors")
    return tmp_path / "mobile_sam.safetensors"


def test_config_and_weights(safetensors, tensors, tmp_path):
    torch.save({name: torch.tensor(x) for name, x in tensors.items()}, tmp_path / "mobile_sam.pt")
    found = read_checkpoint(safetensors)
    assert found.config == mobile_sam_config()
    norm = "image_encoder.layers.0.downsample.conv2.bn.running_var"
    here = found.arrays["image_encoder/stages_0_merging/conv2/batch_norm/moving_variance"]
    np.testing.assert_array_equal(here, tensors[norm])
    assert len(found.unused_tensors) == COUNTERS + 4
    assert len(found.arrays) + len(found.unused_tensors) == len(tensors)
    pickled = read_checkpoint(tmp_path / "mobile_sam.pt")
    assert (pickled.config, pickled.unused_tensors) == (found.config, found.unused_tensors)
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(pickled.arrays[name], array)


def test_the_published_model():
    """Its 10,130,092 parameters, counted layer by layer from the papers, and its classifier."""

    def convolution(inputs, outputs, side, groups=1):
        return outputs * (inputs // groups) * side**2 + 2 * outputs  # with a batch norm

    def dense(inputs, outputs):
        return (inputs + 1) * outputs

    encoder = convolution(3, 32, 3) + convolution(32, 64, 3)
    three = ((64, 256, 64), (64, 256, 64), (64, 128, 128), (128, 160, 160), (160, 320, 320))
    for width, hidden, after in three:
        encoder += convolution(width, hidden, 1) + convolution(hidden, hidden, 3, hidden)
        encoder += convolution(hidden, after, 1)
    for width, heads, window, blocks in ((128, 4, 7, 2), (160, 5, 14, 6), (320, 10, 7, 2)):
        block = 4 * width + dense(width, 3 * width) + dense(width, width) + heads * window**2
        block += convolution(width, width, 3, width)
        encoder += blocks * (block + dense(width, 4 * width) + dense(4 * width, width))
    encoder += 320 * 256 + 256 * 256 * 9 + 4 * 256
    classifier = 2 * 320 + dense(320, 1000)
    assert encoder + classifier + 4_064_560 == 10_130_092  # with SAM's other two parts

    config = parse_arguments("TinyViTBackbone", {}, source="MobileSAM")
    shapes = expected_shapes("TinyViTBackbone", config)
    moving = [name for name in shapes if "moving_" in name]
    assert sum(math.prod(shapes[name]) for name in shapes if name not in moving) == encoder
    assert len(moving) == 2 * (2 + 5 * 3 + 10)


def test_the_same_file_is_written_again(safetensors, tensors, tmp_path):
    """Over a preset of ours and back, bit for bit."""
    convert_checkpoint(safetensors, tmp_path / "keras", to="keras")
    for place in ("again.safetensors", "again.pth"):
        report = convert_checkpoint(tmp_path / "keras", tmp_path / place, to="meta")
        assert report.unused_tensors == 0
    assert set(load_file(tmp_path / "again.safetensors")) == set(tensors) - ignored_tensors(tensors)
    for name, tensor in load_file(tmp_path / "again.safetensors").items():
        np.testing.assert_array_equal(tensor, tensors[name])
    for name, tensor in torch.load(tmp_path / "again.pth").items():
        np.testing.assert_array_equal(tensor.numpy(), tensors[name])


def test_what_is_left_out_is_told(safetensors):
    found = inspect_checkpoint(safetensors)
    assert (found.problems, found.format) == ((), "meta")
    assert len(found.unused_tensors) == COUNTERS + 4
    assert "image_encoder.head.weight" in found.unused_tensors


def test_tables_of_indices_are_left_out(tensors, tmp_path):
    table = "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs"
    older = tensors | {table: np.zeros((9, 9), "int64")}
    save_file(older, tmp_path / "older.safetensors")
    torch.save({name: torch.tensor(x) for name, x in older.items()}, tmp_path / "older.pth")
    for file in ("older.safetensors", "older.pth"):
        assert table in read_checkpoint(tmp_path / file).unused_tensors


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("image_encoder.head.scale", "left over image_encoder.head.scale"),
        ("mask_decoder.head.weight", "left over mask_decoder.head.weight"),
        ("image_encoder.layers.1.blocks.0.attn.ab", "left over"),
        ("image_encoder.layers.4.blocks.0.conv1.c.weight", "left over"),
    ],
)
def test_other_tensors_are_left_over(tensors, tmp_path, name, match):
    save_file(tensors | {name: np.zeros(3, "float32")}, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "sam.safetensors")


def test_no_tensor_of_another_model_is_left_out(tensors, tmp_path):
    names = [name for name in tensors if "patch_embed" not in name]
    assert ignored_tensors(names) == set()
    integers = {"mask_decoder.bn.num_batches_tracked": np.zeros((), "int64")}
    save_file(tensors | integers, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match="has the type 'I64'"):
        read_checkpoint(tmp_path / "sam.safetensors")


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("layers.1.blocks.0.attn.attention_biases", (2, 10), r"shape \(2, 10\), expected \(2, 9\)"),
        ("layers.2.blocks.1.mlp.fc1.bias", (81,), r"fc1\.bias has shape \(81,\), expected \(80,\)"),
        ("layers.3.blocks.0.attn.attention_biases", (3,), "with 2 axes"),
        ("layers.0.blocks.0.conv1.c.weight", (7, 8, 1, 1), "mbconv_expansion=0"),
    ],
)
def test_misshapen_tensors(tensors, tmp_path, name, shape, match):
    wrong = {f"image_encoder.{name}": np.zeros(shape, "float32")}
    save_file(tensors | wrong, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "sam.safetensors")


def test_another_image_shape(safetensors, tmp_path):
    """No table is resized; and MobileSAM's code has a single size, so no file of it can tell."""
    checkpoint = read_checkpoint(safetensors)
    adapted = resize_position_embeddings(checkpoint, (64, 96, 3))
    assert adapted.config["prompt_encoder"]["config"]["image_embedding_size"] == [4, 6]
    assert expected_shapes("SAMBackbone", adapted.config) == {
        name: array.shape for name, array in checkpoint.arrays.items()
    }
    with pytest.raises(CheckpointError, match=r"image_shape \[64, 96, 3\] \(Meta's code: \[1024"):
        write_meta(tmp_path / "mobile_sam.pth", adapted, dtype="float32")
    with pytest.raises(CheckpointError, match="multiples of the patch size 16"):
        resize_position_embeddings(checkpoint, (64, 100, 3))


def test_formats_that_cannot_hold_it(safetensors, tmp_path):
    with pytest.raises(CheckpointError, match="no SAM model with a TinyViTBackbone"):
        convert_checkpoint(safetensors, tmp_path / "theirs", to="transformers")
    with pytest.raises(CheckpointError, match=r"use_batch_norm False \(Meta's code: True\)"):
        convert_checkpoint(safetensors, tmp_path / "folded.pth", to="meta", fold_batch_norms=True)
    assert [path.name for path in tmp_path.iterdir()] == [safetensors.name]


def test_every_weight_has_a_path_of_its_own():
    shapes = expected_shapes("SAMBackbone", mobile_sam_config())
    assert len(set(keras_hub_paths(shapes).values())) == len(shapes)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden_sizes": [8, 16, 20]}, "hidden_sizes="),
        ({"depths": [1, 1, 600, 1]}, "depths="),
        ({"num_heads": [2, 5, 3, 4]}, "num_heads="),
        ({"mlp_ratio": 4.0}, "mlp_ratio=4.0"),
        ({"window_sizes": [2**16] * 3}, "parameters; expected at most"),
        ({"hidden_sizes": [1, 2, 2, 2]}, r"patch_embedding/conv1.* the shape \(3, 3, 3, 0\)"),
        ({"patch_size": 8}, "unknown arguments"),
    ],
)
def test_absurd_configs(safetensors, tmp_path, changes, match):
    convert_checkpoint(safetensors, tmp_path / "keras", to="keras")
    file = tmp_path / "keras" / "config.json"
    contents = json.loads(file.read_text())
    assert contents["registered_name"] == "keras_sam>SAMBackbone"
    assert contents["config"]["image_encoder"]["registered_name"] == "keras_sam>TinyViTBackbone"
    contents["config"]["image_encoder"]["config"].update(changes)
    file.write_text(json.dumps(contents))
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "keras", load_weights=False)
