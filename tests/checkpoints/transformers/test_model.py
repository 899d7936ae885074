"""Directories of transformers: one file or shards, tied weights, damaged files.

Outputs are compared with those of transformers in tests/models/test_presets.py.
"""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_sam.checkpoints import CheckpointError, read_checkpoint, write_transformers
from keras_sam.checkpoints.torch_layout import to_torch_layout
from keras_sam.checkpoints.transformers.tensor_names import POSITION_NAMES, transformers_names
from tests.checkpoints.conftest import assert_same_arrays

CONFIG = {
    "model_type": "sam",
    "vision_config": {
        "hidden_size": 16,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "window_size": 2,
        "global_attn_indexes": [1],
        "mlp_ratio": 2.0,
    },
    "prompt_encoder_config": {"hidden_size": 16},
    "mask_decoder_config": {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 8,
    },
}
IMAGE, PROMPT = POSITION_NAMES
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def tensors(tiny):
    names = transformers_names(tiny.config, source="x")
    return {names[name]: to_torch_layout(name, array) for name, array in tiny.arrays.items()}


@pytest.fixture
def directory(tmp_path, tensors):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def write_shards(directory, tensors):
    (directory / "model.safetensors").unlink()
    weight_map = {}
    for index, name in enumerate(SHARDS):
        part = dict(list(tensors.items())[index :: len(SHARDS)])
        weight_map |= dict.fromkeys(part, name)
        save_file(part, directory / name)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def assert_refused(directory, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(directory).arrays)


def test_one_file(directory, tiny):
    assert_same_arrays(read_checkpoint(directory).arrays, tiny.arrays)


def test_shards(directory, tensors, tiny):
    write_shards(directory, tensors)
    assert_same_arrays(read_checkpoint(directory).arrays, tiny.arrays)


def test_written_tensors_have_the_names_and_layouts_of_transformers(tiny, tensors, tmp_path):
    write_transformers(tmp_path / "new", tiny, dtype="float32")
    assert_same_arrays(load_file(tmp_path / "new" / "model.safetensors"), tensors)
    assert json.loads((tmp_path / "new" / "config.json").read_text())["torch_dtype"] == "float32"


def test_directory_with_files_is_not_replaced(tiny, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="exists and is not empty"):
        write_transformers(tmp_path, tiny, dtype="float32")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../model-00001-of-00002.safetensors",
        "sub/model-00001-of-00002.safetensors",
        "model-00001-of-00002.safetensors\n",
        "model-00001-of-00002.bin",
        "model-00001-of-00002.safetensors/..",
        "..",
        "",
        None,
        {},
    ],
)
def test_index_that_names_other_files_raises(directory, tensors, name):
    write_shards(directory, tensors)
    index = {"weight_map": dict.fromkeys(tensors, SHARDS[0]) | {"x": name}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_refused(directory, "names the file")


def test_missing_shard_raises(directory, tensors):
    write_shards(directory, tensors)
    (directory / SHARDS[1]).unlink()
    assert_refused(directory, f"has no weights file {SHARDS[1]}")


def test_shard_that_the_index_does_not_name_is_missing(directory, tensors):
    write_shards(directory, tensors)
    index = {"weight_map": dict.fromkeys(tensors, SHARDS[0])}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_refused(directory, "do not match its config: missing")


def test_tensor_in_two_shards_raises(directory, tensors):
    write_shards(directory, tensors)
    save_file(tensors, directory / SHARDS[1])
    assert_refused(directory, "contains the tensor .* twice")


@pytest.mark.parametrize("names", [[IMAGE], [PROMPT], [IMAGE, PROMPT]])
def test_positional_matrix_has_either_name_or_both(directory, tensors, tiny, names):
    table = tensors.pop(IMAGE)
    save_file(tensors | {name: table.copy() for name in names}, directory / "model.safetensors")
    assert_same_arrays(read_checkpoint(directory).arrays, tiny.arrays)


def test_positional_matrix_in_two_shards(directory, tensors, tiny):
    table = tensors.pop(IMAGE)
    write_shards(directory, {IMAGE: table, PROMPT: table.copy(), **tensors})
    assert_same_arrays(read_checkpoint(directory).arrays, tiny.arrays)


@pytest.mark.parametrize("change", [lambda x: x + 1, lambda x: x[:1], lambda x: x[:, :2]])
def test_two_different_positional_matrices_raise(directory, tensors, change):
    save_file(tensors | {PROMPT: change(tensors[IMAGE]).copy()}, directory / "model.safetensors")
    assert_refused(directory, "two different positional matrices")


def test_missing_positional_matrix_raises(directory, tensors):
    del tensors[IMAGE]
    save_file(tensors, directory / "model.safetensors")
    assert_refused(directory, f"missing {IMAGE}")


def test_wrong_shape_raises(directory, tensors):
    name = "mask_decoder.iou_token.weight"
    save_file(tensors | {name: np.zeros((2, 16), "float32")}, directory / "model.safetensors")
    assert_refused(directory, rf"{name} .* shape \(2, 16\), expected \(1, 16\)")


def test_values_that_are_not_finite_raise(directory, tensors):
    tensors["mask_decoder.iou_token.weight"][0, 3] = np.nan
    save_file(tensors, directory / "model.safetensors")
    assert_refused(directory, r"mask_decoder\.iou_token\.weight .* NaN")


def test_pickled_weights_are_not_read(directory):
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    assert_refused(directory, "has pickled weights only")


def test_missing_weights_raise(directory):
    (directory / "model.safetensors").unlink()
    assert_refused(directory, r"has no model\.safetensors and no model\.safetensors\.index\.json")
