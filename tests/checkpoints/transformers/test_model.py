"""Directories of transformers: one file or shards, tied weights, damaged configs.

That the numbers are those of transformers is checked in tests/models/test_presets.py.
"""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint
from keras_sam.checkpoints.transformers.tensor_names import POSITION_NAMES, transformers_name

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


def to_transformers_layout(name, array):
    if not name.endswith("/kernel"):
        return array
    return np.ascontiguousarray(array.T if array.ndim == 2 else array.transpose(3, 2, 0, 1))


@pytest.fixture
def tensors(tiny):
    return {
        transformers_name(name, iou_head_depth=3): to_transformers_layout(name, array)
        for name, array in tiny.arrays.items()
    }


@pytest.fixture
def directory(tmp_path, tensors):
    write_config(tmp_path)
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def write_config(directory, section=None, **changes):
    config = CONFIG | ({section: CONFIG[section] | changes} if section else {})
    (directory / "config.json").write_text(json.dumps(config))


def write_shards(directory, tensors, names=SHARDS):
    (directory / "model.safetensors").unlink()
    weight_map = {}
    for index, name in enumerate(names):
        part = dict(list(tensors.items())[index :: len(names)])
        weight_map |= dict.fromkeys(part, name)
        if name in SHARDS:
            save_file(part, directory / name)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def refused(directory, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(directory).arrays)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_one_file(directory, tiny):
    assert_same(read_checkpoint(directory).arrays, tiny.arrays)


def test_shards(directory, tensors, tiny):
    write_shards(directory, tensors)
    assert_same(read_checkpoint(directory).arrays, tiny.arrays)


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
def test_an_index_that_names_other_files(directory, tensors, name):
    write_shards(directory, tensors)
    index = {"weight_map": dict.fromkeys(tensors, SHARDS[0]) | {"x": name}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(directory, "names the file")


@pytest.mark.parametrize("index", [{}, [], {"weight_map": {}}, {"weight_map": []}, 3])
def test_an_index_without_files(directory, index):
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(directory, "no weight_map")


def test_an_index_that_names_thousands_of_files(directory):
    (directory / "model.safetensors").unlink()
    names = [f"model-{index:05}-of-02000.safetensors" for index in range(2000)]
    index = {"weight_map": dict(zip(names, names, strict=True))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(directory, "2000 shards")


def test_a_missing_shard(directory, tensors):
    write_shards(directory, tensors)
    (directory / SHARDS[1]).unlink()
    refused(directory, f"lacks its weights file {SHARDS[1]}")


def test_a_shard_that_the_index_does_not_name(directory, tensors):
    write_shards(directory, tensors)
    index = {"weight_map": dict.fromkeys(tensors, SHARDS[0])}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(directory, "do not fit its config: missing")


def test_a_tensor_in_two_shards(directory, tensors):
    write_shards(directory, tensors)
    save_file(tensors, directory / SHARDS[1])
    refused(directory, "holds the tensor .* twice")


@pytest.mark.parametrize("places", [[IMAGE], [PROMPT], [IMAGE, PROMPT]])
def test_the_positional_matrix_is_in_either_place_or_both(directory, tensors, tiny, places):
    table = tensors.pop(IMAGE)
    save_file(tensors | {place: table.copy() for place in places}, directory / "model.safetensors")
    assert_same(read_checkpoint(directory).arrays, tiny.arrays)


def test_the_positional_matrix_is_in_two_shards(directory, tensors, tiny):
    table = tensors.pop(IMAGE)
    write_shards(directory, {IMAGE: table, PROMPT: table.copy(), **tensors})
    assert_same(read_checkpoint(directory).arrays, tiny.arrays)


@pytest.mark.parametrize("change", [lambda x: x + 1, lambda x: x[:1], lambda x: x[:, :2]])
def test_two_different_positional_matrices(directory, tensors, change):
    save_file(tensors | {PROMPT: change(tensors[IMAGE]).copy()}, directory / "model.safetensors")
    refused(directory, "two different positional matrices")


def test_no_positional_matrix(directory, tensors):
    del tensors[IMAGE]
    save_file(tensors, directory / "model.safetensors")
    refused(directory, f"missing {IMAGE}")


def test_wrong_shape(directory, tensors):
    name = "mask_decoder.iou_token.weight"
    save_file(tensors | {name: np.zeros((2, 16), "float32")}, directory / "model.safetensors")
    refused(directory, rf"{name} .* shape \(2, 16\), expected \(1, 16\)")


def test_not_finite(directory, tensors):
    tensors["mask_decoder.iou_token.weight"][0, 3] = np.nan
    save_file(tensors, directory / "model.safetensors")
    refused(directory, r"mask_decoder\.iou_token\.weight .* NaN")


def test_pickles_are_not_read(directory):
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    refused(directory, "pickled")
