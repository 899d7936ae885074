"""Hostile safetensors files: what their headers declare and what they hold."""

import json
import os
import struct

import numpy as np
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.safetensors_file import SafetensorsFile


def entry(*shape, start=0, end=None, dtype="F32"):
    end = start + 4 * int(np.prod(shape)) if end is None else end
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def write(directory, header, data=b""):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    file = directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return file


def refused(file, match):
    with pytest.raises(CheckpointError, match=match):
        SafetensorsFile(file, source="preset")


def test_a_plain_file_is_read(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "a": entry(2, 2), "b": entry(3, start=16)}
    file = SafetensorsFile(
        write(tmp_path, header, np.arange(7.0).astype("<f4").tobytes()), source=""
    )
    assert file.shapes == {"a": (2, 2), "b": (3,)}
    np.testing.assert_array_equal(file.read("a"), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(file.read("b"), [4, 5, 6])


@pytest.mark.parametrize("length", [3, 2**24 + 1, 2**32, 2**63, 2**64 - 1])
def test_a_header_longer_than_the_file(tmp_path, length):
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b"{}")
    refused(tmp_path / "x", "truncated or not a safetensors file")


def test_a_huge_header(tmp_path):
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**25))
    os.truncate(tmp_path / "x", 2**30)
    refused(tmp_path / "x", "truncated or not a safetensors file")


@pytest.mark.parametrize("content", [b"", b"abc", bytes(8), bytes(100)])
def test_no_header(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    refused(tmp_path / "x", "truncated|damaged header")


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
def test_a_header_that_is_no_table(tmp_path, header):
    refused(write(tmp_path, header, bytes(4)), "damaged")


def test_a_name_that_occurs_twice(tmp_path):
    tensor = json.dumps(entry(1))
    header = f'{{"a": {tensor}, "a": {tensor}}}'.encode()
    refused(write(tmp_path, header, bytes(4)), "occurs twice")


@pytest.mark.parametrize("start", [0, 4, 8, 12])
def test_tensors_that_overlap_or_leave_a_gap(tmp_path, start):
    header = {"a": entry(4), "b": entry(4, start=start)}
    refused(write(tmp_path, header, bytes(start + 16)), "overlap")


def test_a_gap(tmp_path):
    refused(write(tmp_path, {"a": entry(4), "b": entry(4, start=20)}, bytes(36)), "gaps")


@pytest.mark.parametrize("size", [0, 12, 20])
def test_tensors_that_do_not_fill_the_file(tmp_path, size):
    refused(write(tmp_path, {"a": entry(4)}, bytes(size)), f"16 bytes of .* holds {size}")


@pytest.mark.parametrize("shape", [(5,), (3,), (2**40,), (2**31, 2**31), (0,), ()])
def test_a_shape_of_another_size_than_the_bytes(tmp_path, shape):
    refused(write(tmp_path, {"a": entry(*shape, end=16)}, bytes(16)), "declares .* holds 16")


@pytest.mark.parametrize("dtype", ["I32", "BOOL", "F8_E4M3", "f32", "", None, 3, ["F32"], {}])
def test_other_types(tmp_path, dtype):
    refused(write(tmp_path, {"a": entry(4, dtype=dtype)}, bytes(16)), "expected one of F16")


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
def test_damaged_entries(tmp_path, damage):
    refused(write(tmp_path, {"a": entry(4) | damage}, bytes(16)), "damaged")


@pytest.mark.parametrize("value", [None, [], "F32", {}, {"dtype": "F32"}])
def test_an_entry_that_is_no_tensor(tmp_path, value):
    refused(write(tmp_path, {"a": value}, bytes(16)), "damaged entry")


@pytest.mark.parametrize("metadata", [{"a": 1}, [], "text"])
def test_damaged_metadata(tmp_path, metadata):
    header = {"__metadata__": metadata, "a": entry(4)}
    refused(write(tmp_path, header, bytes(16)), "damaged")


def test_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "x")
    refused(tmp_path / "x", "not a regular file")


def test_a_missing_file(tmp_path):
    refused(tmp_path / "x", "lacks its weights file x")
