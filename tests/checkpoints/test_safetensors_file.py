"""Safetensors files against the reference library, and hostile headers."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from keras_sam.checkpoints import CheckpointError
from keras_sam.checkpoints.safetensors_file import (
    SafetensorsFile,
    numpy_dtype,
    write_safetensors,
)

TENSORS = {
    "a": np.arange(4, dtype="float32").reshape(2, 2),
    "b": np.arange(3, dtype="float64"),
    "c": np.array(1.5, "float16"),
    "d": np.zeros((0, 2), "float32"),
}


def entry(*shape, start=0, end=None, dtype="F32"):
    end = start + 4 * int(np.prod(shape)) if end is None else end
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def write(directory, header, data=b""):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    file = directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return file


def assert_refused(file, match):
    with pytest.raises(CheckpointError, match=match):
        SafetensorsFile(file, source="preset")


def test_files_of_the_reference_library_are_read(tmp_path):
    save_file(TENSORS, tmp_path / "x", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "x", source="x")
    assert file.shapes == {name: tensor.shape for name, tensor in TENSORS.items()}
    for name, tensor in TENSORS.items():
        assert file.read(name).dtype == tensor.dtype
        np.testing.assert_array_equal(file.read(name), tensor)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_reference_library_reads_written_files(tmp_path, dtype):
    shapes = {name: tensor.shape for name, tensor in TENSORS.items()}
    write_safetensors(
        tmp_path / "x", shapes, TENSORS.__getitem__, dtype=dtype, metadata={"format": "pt"}
    )
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(TENSORS)
        for name, tensor in TENSORS.items():
            stored = file.get_tensor(name)
            assert str(stored.dtype) == f"torch.{dtype}"
            np.testing.assert_array_equal(stored.float(), tensor.astype(numpy_dtype(dtype)))


def test_bfloat16_is_kept(tmp_path):
    tensor = np.arange(4, dtype="float32").astype(ml_dtypes.bfloat16)
    write_safetensors(tmp_path / "x", {"a": (4,)}, lambda _: tensor, dtype="bfloat16", metadata={})
    read = SafetensorsFile(tmp_path / "x", source="x").read("a")
    assert read.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(read, tensor)


def test_wrong_shape_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"a has shape \(4,\), expected \(3,\)"):
        write_safetensors(
            tmp_path / "x", {"a": (3,)}, lambda _: np.zeros(4), dtype="float32", metadata={}
        )
    assert not any(tmp_path.iterdir())


def test_ignored_tensors_may_be_integers(tmp_path):
    save_file(TENSORS | {"steps": np.array(3)}, tmp_path / "x")
    file = SafetensorsFile(tmp_path / "x", source="x", ignored=lambda names: {"steps"} & set(names))
    assert (file.unused_tensors, set(file.shapes)) == ({"steps"}, set(TENSORS))
    assert_refused(tmp_path / "x", "steps .* has the type 'I64'")


def test_file_that_shrinks_after_opening_raises(tmp_path):
    save_file(TENSORS, tmp_path / "x")
    file = SafetensorsFile(tmp_path / "x", source="x")
    os.truncate(tmp_path / "x", (tmp_path / "x").stat().st_size - 1)
    with pytest.raises(CheckpointError, match="is truncated: the file changed"):
        [file.read(name) for name in TENSORS]


@pytest.mark.parametrize("length", [3, 2**24 + 1, 2**32, 2**63, 2**64 - 1])
def test_header_longer_than_the_file(tmp_path, length):
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")
    assert_refused(tmp_path / "x", "truncated or not a safetensors file")


def test_huge_header(tmp_path):
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**25))
    os.truncate(tmp_path / "x", 2**30)
    assert_refused(tmp_path / "x", "truncated or not a safetensors file")


@pytest.mark.parametrize("content", [b"", b"abc", bytes(8), bytes(100)])
def test_missing_header(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert_refused(tmp_path / "x", "truncated|damaged header")


@pytest.mark.parametrize(
    "header",
    [
        b"not JSON",
        b"\xff\xfe",
        b"[]",
        b"3",
        b'"text"',
        b"[" * 100_000,
        b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}',
    ],
)
def test_header_that_is_not_an_object(tmp_path, header):
    assert_refused(write(tmp_path, header, bytes(4)), "damaged")


def test_name_that_occurs_twice(tmp_path):
    tensor = json.dumps(entry(1))
    header = f'{{"a": {tensor}, "a": {tensor}}}'.encode()
    assert_refused(write(tmp_path, header, bytes(4)), "occurs twice")


@pytest.mark.parametrize("start", [0, 4, 8, 12])
def test_overlapping_tensors(tmp_path, start):
    header = {"a": entry(4), "b": entry(4, start=start)}
    assert_refused(write(tmp_path, header, bytes(start + 16)), "overlap")


def test_gap_between_tensors(tmp_path):
    assert_refused(write(tmp_path, {"a": entry(4), "b": entry(4, start=20)}, bytes(36)), "gaps")


@pytest.mark.parametrize("size", [0, 12, 20])
def test_tensors_that_do_not_fill_the_file(tmp_path, size):
    assert_refused(write(tmp_path, {"a": entry(4)}, bytes(size)), f"16 bytes of .* contains {size}")


@pytest.mark.parametrize("shape", [(5,), (3,), (2**40,), (2**31, 2**31), (0,), ()])
def test_shape_that_does_not_match_the_offsets(tmp_path, shape):
    file = write(tmp_path, {"a": entry(*shape, end=16)}, bytes(16))
    assert_refused(file, "declares .* offsets span 16")


@pytest.mark.parametrize("dtype", ["I32", "BOOL", "F8_E4M3", "f32", "", None, 3, ["F32"], {}])
def test_other_types_than_floats(tmp_path, dtype):
    file = write(tmp_path, {"a": entry(4, dtype=dtype)}, bytes(16))
    assert_refused(file, "expected one of F16")


@pytest.mark.parametrize(
    "damage",
    [
        {"shape": None},
        {"shape": [-4]},
        {"shape": [4.0]},
        {"shape": [True]},
        {"shape": "4"},
        {"shape": [2**64]},
        {"shape": [1] * 100_000},
        {"data_offsets": [0]},
        {"data_offsets": [0, 16, 32]},
        {"data_offsets": [-16, 0]},
        {"data_offsets": [0, 10**30]},
        {"data_offsets": {"0": 0}},
        {"extra": 1},
    ],
)
def test_damaged_entry(tmp_path, damage):
    assert_refused(write(tmp_path, {"a": entry(4) | damage}, bytes(16)), "damaged")


@pytest.mark.parametrize("value", [None, [], "F32", {}, {"dtype": "F32"}])
def test_entry_that_is_not_a_tensor(tmp_path, value):
    assert_refused(write(tmp_path, {"a": value}, bytes(16)), "damaged entry")


@pytest.mark.parametrize("metadata", [{"a": 1}, [], "text"])
def test_damaged_metadata(tmp_path, metadata):
    header = {"__metadata__": metadata, "a": entry(4)}
    assert_refused(write(tmp_path, header, bytes(16)), "damaged")


def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "x")
    assert_refused(tmp_path / "x", "not a regular file")


def test_missing_file(tmp_path):
    assert_refused(tmp_path / "x", "has no weights file x")
