"""Files with named arrays and JSON metadata."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_sam.files.safetensors_file import load_safetensors, save_safetensors

FORMAT = "keras_sam.Toy"
ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.uint8)}


@dataclass(frozen=True)
class Toy:
    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]


def load(path, **kwargs):
    return load_safetensors(path, FORMAT, Toy, description="a toy", **kwargs)


def test_arrays_and_metadata_are_restored(tmp_path):
    path = tmp_path / "new" / "toy.safetensors"
    path.parent.mkdir()
    save_safetensors(path, FORMAT, ARRAYS, {"size": [4, 5], "name": "x"})
    toy = load(path)
    assert toy.metadata == {"size": [4, 5], "name": "x"}
    assert toy.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(toy.arrays[name], array)
        assert toy.arrays[name].dtype == array.dtype
    assert [file.name for file in path.parent.iterdir()] == ["toy.safetensors"]


def test_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")


def test_truncated_file_raises(tmp_path):
    path = tmp_path / "toy.safetensors"
    save_safetensors(path, FORMAT, ARRAYS, {})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="damaged"):
        load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "another"}])
def test_file_of_another_format_raises(tmp_path, metadata):
    path = tmp_path / "toy.safetensors"
    save_file(ARRAYS, path, metadata=metadata)
    with pytest.raises(ValueError, match="is not a toy"):
        load(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[1]"])
def test_damaged_metadata_raises(tmp_path, text):
    path = tmp_path / "toy.safetensors"
    save_safetensors(path, FORMAT, ARRAYS, {"a": 1})
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        header = file.metadata()
    (name,) = [name for name, value in header.items() if value == json.dumps({"a": 1})]
    save_file(ARRAYS, path, metadata=header | {name: text})
    with pytest.raises(ValueError, match="damaged"):
        load(path)


def test_missing_array_raises(tmp_path):
    path = tmp_path / "toy.safetensors"
    save_safetensors(path, FORMAT, ARRAYS, {})
    with pytest.raises(ValueError, match="is not a toy"):
        load(path, required=("c",))


def test_errors_of_the_parser_name_the_file(tmp_path):
    def refuse(arrays, metadata):
        raise ValueError("size must be positive")

    path = tmp_path / "toy.safetensors"
    save_safetensors(path, FORMAT, ARRAYS, {})
    with pytest.raises(ValueError, match="size must be positive"):
        load_safetensors(path, FORMAT, refuse, description="a toy")


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_shapes_are_kept(tmp_path, shape):
    path = tmp_path / "x.safetensors"
    array = np.zeros(shape[::-1], np.int32).T
    save_safetensors(path, "test", {"x": array}, {})
    found = load_safetensors(path, "test", lambda arrays, _: arrays["x"], description="a test")
    assert found.shape == shape
