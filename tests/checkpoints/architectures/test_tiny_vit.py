"""Files of MobileSAM and TinySAM: read, written again, converted, damaged.

Outputs are compared with another implementation in tests/models/test_tiny_vit_backbone.py.
"""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from keras_sam.checkpoints import (
    CheckpointError,
    convert_checkpoint,
    expected_shapes,
    inspect_checkpoint,
    read_checkpoint,
    resize_position_embeddings,
    write_meta,
)
from keras_sam.checkpoints.architectures.parse_arguments import parse_arguments
from keras_sam.checkpoints.keras_hub.weight_names import keras_hub_paths
from tests.checkpoints.conftest import assert_same_arrays
from tests.checkpoints.mobile_sam import mobile_sam_config, mobile_sam_tensors

COUNTERS = 2 + 4 * 3 + 4  # one per batch norm: stem, mergings and first stage, blocks
CLASSIFIER = 4


@pytest.fixture(scope="module")
def tensors():
    return mobile_sam_tensors()


@pytest.fixture
def safetensors(tensors, tmp_path):
    save_file(tensors, tmp_path / "mobile_sam.safetensors")
    return tmp_path / "mobile_sam.safetensors"


def test_config_and_weights(safetensors, tensors, tmp_path):
    torch.save({name: torch.tensor(x) for name, x in tensors.items()}, tmp_path / "mobile_sam.pt")
    checkpoint = read_checkpoint(safetensors)
    assert checkpoint.config == mobile_sam_config()
    norm = "image_encoder.layers.0.downsample.conv2.bn.running_var"
    variance = checkpoint.arrays["image_encoder/stages_0_merging/conv2/batch_norm/moving_variance"]
    np.testing.assert_array_equal(variance, tensors[norm])
    assert len(checkpoint.unused_tensors) == COUNTERS + CLASSIFIER
    assert len(checkpoint.arrays) + len(checkpoint.unused_tensors) == len(tensors)
    pickled = read_checkpoint(tmp_path / "mobile_sam.pt")
    assert pickled.config == checkpoint.config
    assert pickled.unused_tensors == checkpoint.unused_tensors
    assert_same_arrays(pickled.arrays, checkpoint.arrays)


def test_parameters_of_mobile_sam():
    """The published 10,130,092 parameters, counted by layer from the papers."""

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
    assert encoder + classifier + 4_064_560 == 10_130_092  # with the other two parts of SAM

    config = parse_arguments("TinyViTBackbone", {}, source="MobileSAM")
    shapes = expected_shapes("TinyViTBackbone", config)
    moving = [name for name in shapes if "moving_" in name]
    assert sum(math.prod(shapes[name]) for name in shapes if name not in moving) == encoder
    assert len(moving) == 2 * (2 + 5 * 3 + 10)


def test_file_is_reproduced(safetensors, tensors, tmp_path):
    convert_checkpoint(safetensors, tmp_path / "keras", to="keras")
    for path in ("again.safetensors", "again.pth"):
        report = convert_checkpoint(tmp_path / "keras", tmp_path / path, to="meta")
        assert report.unused_tensors == 0
    unused = read_checkpoint(safetensors).unused_tensors
    expected = {name: tensor for name, tensor in tensors.items() if name not in unused}
    assert_same_arrays(load_file(tmp_path / "again.safetensors"), expected)
    pickled = torch.load(tmp_path / "again.pth")
    assert_same_arrays({name: tensor.numpy() for name, tensor in pickled.items()}, expected)


def test_unused_tensors_are_listed(safetensors):
    report = inspect_checkpoint(safetensors)
    assert (report.problems, report.format) == ((), "meta")
    assert len(report.unused_tensors) == COUNTERS + CLASSIFIER
    assert "image_encoder.head.weight" in report.unused_tensors


def test_index_tables_of_older_files_are_ignored(tensors, tmp_path):
    table = "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs"
    older = tensors | {table: np.zeros((9, 9), "int64")}
    save_file(older, tmp_path / "older.safetensors")
    torch.save({name: torch.tensor(x) for name, x in older.items()}, tmp_path / "older.pth")
    for file in ("older.safetensors", "older.pth"):
        assert table in read_checkpoint(tmp_path / file).unused_tensors


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("image_encoder.head.scale", "unexpected image_encoder.head.scale"),
        ("mask_decoder.head.weight", "unexpected mask_decoder.head.weight"),
        ("image_encoder.layers.1.blocks.0.attn.ab", "unexpected"),
        ("image_encoder.layers.4.blocks.0.conv1.c.weight", "unexpected"),
    ],
)
def test_other_tensors_are_unexpected(tensors, tmp_path, name, match):
    save_file(tensors | {name: np.zeros(3, "float32")}, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "sam.safetensors")


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("layers.1.blocks.0.attn.attention_biases", (2, 10), r"shape \(2, 10\), expected \(2, 9\)"),
        ("layers.2.blocks.1.mlp.fc1.bias", (81,), r"fc1\.bias has shape \(81,\), expected \(80,\)"),
        ("layers.3.blocks.0.attn.attention_biases", (3,), "expected 2 axes"),
        ("layers.0.blocks.0.conv1.c.weight", (7, 8, 1, 1), "mbconv_expansion=0"),
    ],
)
def test_misshapen_tensors_raise(tensors, tmp_path, name, shape, match):
    wrong = {f"image_encoder.{name}": np.zeros(shape, "float32")}
    save_file(tensors | wrong, tmp_path / "sam.safetensors")
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "sam.safetensors")


def test_other_image_size_cannot_be_stored_by_meta(safetensors, tmp_path):
    """MobileSAM's code has a single image size, and no tensor depends on it."""
    resized = resize_position_embeddings(read_checkpoint(safetensors), (64, 96, 3))
    with pytest.raises(CheckpointError, match=r"image_shape \[64, 96, 3\] \(Meta's code: \[1024"):
        write_meta(tmp_path / "mobile_sam.pth", resized, dtype="float32")


def test_formats_without_such_a_model_raise(safetensors, tmp_path):
    with pytest.raises(CheckpointError, match="no SAM model with the TinyViTBackbone"):
        convert_checkpoint(safetensors, tmp_path / "x", to="transformers")
    with pytest.raises(CheckpointError, match=r"use_batch_norm False \(Meta's code: True\)"):
        convert_checkpoint(safetensors, tmp_path / "folded.pth", to="meta", fold_batch_norms=True)
    assert [path.name for path in tmp_path.iterdir()] == [safetensors.name]


def test_every_weight_has_its_own_path():
    config = mobile_sam_config()
    paths = keras_hub_paths("SAMBackbone", config)
    assert len(set(paths.values())) == len(expected_shapes("SAMBackbone", config))


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
def test_absurd_configs_raise(safetensors, tmp_path, changes, match):
    convert_checkpoint(safetensors, tmp_path / "keras", to="keras")
    file = tmp_path / "keras" / "config.json"
    contents = json.loads(file.read_text())
    assert contents["registered_name"] == "keras_sam>SAMBackbone"
    assert contents["config"]["image_encoder"]["registered_name"] == "keras_sam>TinyViTBackbone"
    contents["config"]["image_encoder"]["config"].update(changes)
    file.write_text(json.dumps(contents))
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(tmp_path / "keras", load_weights=False)
