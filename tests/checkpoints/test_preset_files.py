import json
import os
import re

import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint
from keras_sam.checkpoints.preset_files import (
    PresetFiles,
    find_weight_files,
    read_json,
    read_shard_names,
    write_json,
)
from keras_sam.transforms.inference_config import InferenceConfig

JSON_FILES = ("config.json", "image_converter.json", "inference_config.json")
FILES = PresetFiles("w.bin", "w.json", re.compile(r"w_\d\.bin"), "p.json")


def assert_refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset, load_weights=False)


@pytest.fixture(params=JSON_FILES)
def file(preset, request):
    if request.param == "inference_config.json":
        write_json(preset / "inference_config.json", InferenceConfig().to_dict())
    return preset / request.param


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_link_to_a_device_is_refused(preset, file, device):
    file.unlink()
    file.symlink_to(device)
    assert_refused(preset, rf"{file.name} .* is not a regular file")


def test_pipe_is_refused(preset, file):
    file.unlink()
    os.mkfifo(file)
    assert_refused(preset, rf"{file.name} .* is not a regular file")


def test_directory_is_refused(preset, file):
    file.unlink()
    file.mkdir()
    assert_refused(preset, rf"{file.name} .* is not a regular file")


def test_huge_file_is_refused(preset, file):
    os.truncate(file, 2**40)
    assert_refused(preset, "larger than 16777216 bytes")


def test_link_to_a_regular_file_is_read(preset, file, tmp_path):
    """The cache of Hugging Face consists of such links."""
    file.rename(tmp_path / "blob")
    file.symlink_to(tmp_path / "blob")
    assert read_checkpoint(preset, load_weights=False).class_name == "SAMBackbone"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(preset, file, number):
    contents = json.loads(file.read_text())
    contents["extra"] = "NUMBER"
    file.write_text(json.dumps(contents).replace('"NUMBER"', number))
    assert_refused(preset, rf"{file.name} .* the number {number}")


def test_json_round_trip(tmp_path):
    contents = {"a": [1, 2.5, None, True], "b": {"c": "text"}}
    write_json(tmp_path / "x.json", contents)
    assert read_json(tmp_path / "x.json", source="x") == contents


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 10**5, b"1" * 5000])
def test_other_content_than_json_raises(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.json of 'source' is not readable JSON"):
        read_json(tmp_path / "x.json", source="source")


def test_single_file_is_preferred_to_shards(tmp_path):
    write_json(tmp_path / "w.json", {"weight_map": {"a": "w_1.bin", "b": ["w_0.bin", "w_1.bin"]}})
    shards = find_weight_files(tmp_path, FILES, source="x")
    assert shards == [tmp_path / "w_0.bin", tmp_path / "w_1.bin"]
    (tmp_path / "w.bin").write_bytes(b"")
    assert find_weight_files(tmp_path, FILES, source="x") == [tmp_path / "w.bin"]


def test_missing_weights_raise(tmp_path):
    with pytest.raises(CheckpointError, match=r"'x' has no w\.bin and no w\.json"):
        find_weight_files(tmp_path, FILES, source="x")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../w_0.bin", "a/w_0.bin", "w_0.bin\n", "", None, {}]
)
def test_shard_names_outside_the_pattern_raise(tmp_path, name):
    write_json(tmp_path / "w.json", {"weight_map": {"a": "w_0.bin", "b": name}})
    with pytest.raises(CheckpointError, match=r"w\.json of 'x' names the file"):
        read_shard_names(tmp_path / "w.json", FILES.shard, source="x")


@pytest.mark.parametrize("index", [{}, [], {"weight_map": {}}, {"weight_map": []}, 3])
def test_index_without_weight_map_raises(tmp_path, index):
    write_json(tmp_path / "w.json", index)
    with pytest.raises(CheckpointError, match="no weight_map"):
        read_shard_names(tmp_path / "w.json", FILES.shard, source="x")


def test_too_many_shards_raise(tmp_path):
    pattern = re.compile(r"w_\d+")
    write_json(tmp_path / "w.json", {"weight_map": {str(i): f"w_{i}" for i in range(2000)}})
    with pytest.raises(CheckpointError, match="names 2000 shards; expected at most 1000"):
        read_shard_names(tmp_path / "w.json", pattern, source="x")


def test_index_that_is_a_pipe_is_refused(preset):
    (preset / "model.weights.h5").unlink()
    os.mkfifo(preset / "model.weights.json")
    with pytest.raises(CheckpointError, match=r"model\.weights\.json .* is not a regular file"):
        read_checkpoint(preset)


def test_shard_that_is_a_pipe_is_refused(preset):
    (preset / "model.weights.h5").unlink()
    os.mkfifo(preset / "model_00000.weights.h5")
    index = {"weight_map": {"/a/vars": "model_00000.weights.h5"}}
    (preset / "model.weights.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="is not an HDF5 file"):
        read_checkpoint(preset)
