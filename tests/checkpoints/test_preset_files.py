import json
import os

import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint

JSON_FILES = ("config.json", "image_converter.json", "preprocessing.json")


def refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset, load_weights=False)


@pytest.fixture(params=JSON_FILES)
def file(preset, request):
    if request.param == "image_converter.json":
        (preset / "preprocessing.json").unlink()  # which goes before it
    return preset / request.param


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_link_to_a_device(preset, file, device):
    file.unlink()
    file.symlink_to(device)
    refused(preset, rf"{file.name} .* is not a regular file")


def test_a_pipe(preset, file):
    file.unlink()
    os.mkfifo(file)
    refused(preset, rf"{file.name} .* is not a regular file")


def test_a_directory(preset, file):
    file.unlink()
    file.mkdir()
    refused(preset, rf"{file.name} .* is not a regular file")


def test_a_huge_file(preset, file):
    os.truncate(file, 2**40)
    refused(preset, "larger than 16777216 bytes")


def test_a_link_to_a_regular_file(preset, file, tmp_path):
    """As in the cache of Hugging Face."""
    file.rename(tmp_path / "blob")
    file.symlink_to(tmp_path / "blob")
    assert read_checkpoint(preset, load_weights=False).class_name == "SAMBackbone"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(preset, file, number):
    contents = json.loads(file.read_text())
    contents["extra"] = "NUMBER"
    file.write_text(json.dumps(contents).replace('"NUMBER"', number))
    refused(preset, rf"{file.name} .* the number {number}")


def test_an_index_of_shards_that_is_a_pipe(preset):
    (preset / "model.weights.h5").unlink()
    os.mkfifo(preset / "model.weights.json")
    with pytest.raises(CheckpointError, match=r"model\.weights\.json .* is not a regular file"):
        read_checkpoint(preset)


def test_a_shard_that_is_a_pipe(preset):
    (preset / "model.weights.h5").unlink()
    os.mkfifo(preset / "model_00000.weights.h5")
    index = {"weight_map": {"/a/vars": "model_00000.weights.h5"}}
    (preset / "model.weights.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="is not"):
        read_checkpoint(preset)
