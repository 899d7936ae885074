"""Hostile HDF5 files: what they declare, what they store, and what it inflates to."""

import struct
import zlib

import h5py
import numpy as np
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint

TOKEN = "mask_decoder/iou_token/vars/0"
OTHER = "layers/sam_prompt_encoder/no_mask_embed/vars/0"  # of the same size, 64 bytes


def refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(preset).arrays)


def replace_token(preset, change):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        change(file)


def write_chunk(preset, content, *, filter_mask=0, **options):
    """Replaces a weight of 64 bytes by a chunk of any content."""

    def change(file):
        options.setdefault("compression", "gzip")
        dataset = file.create_dataset(
            TOKEN, shape=(1, 16), dtype="float32", chunks=(1, 16), **options
        )
        dataset.id.write_direct_chunk((0, 0), content, filter_mask)

    replace_token(preset, change)


@pytest.mark.parametrize("shuffle", [True, False])
def test_gzip_in_many_chunks_is_read(preset, tiny, shuffle):
    path = "mask_decoder/iou_prediction_head/mlp_block/layers/dense/vars/0"
    data = tiny.arrays["mask_decoder/iou_head/dense1/kernel"]
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[path]
        file.create_dataset(path, data=data, compression="gzip", chunks=(7, 3), shuffle=shuffle)
    found = read_checkpoint(preset).arrays["mask_decoder/iou_head/dense1/kernel"]
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("inflated", [2**24, 64 * 100, 65, 63, 0])
def test_a_chunk_that_inflates_to_another_size(preset, inflated):
    write_chunk(preset, zlib.compress(bytes(inflated), 9))
    refused(preset, "iou_token.* (inflate|stored in)")


def test_a_chunk_that_is_not_gzip(preset):
    write_chunk(preset, b"not gzip at all")
    refused(preset, "iou_token")


def test_a_chunk_that_skips_its_filter(preset):
    write_chunk(preset, bytes(64), filter_mask=1)
    refused(preset, "skips")


def test_a_plain_chunk_of_another_size(preset):
    write_chunk(preset, bytes(4096), compression=None)
    refused(preset, "stored in 4096 bytes")


def test_a_missing_chunk(preset):
    def change(file):
        dataset = file.create_dataset(TOKEN, shape=(1, 16), dtype="float32", chunks=(1, 4))
        dataset[0, :4] = 1.0

    replace_token(preset, change)
    refused(preset, "1 of 4 chunks")


def test_chunks_larger_than_the_array(preset):
    def change(file):
        data = np.zeros((1, 16), "float32")
        file.create_dataset(
            TOKEN, data=data, chunks=(1, 2**20), maxshape=(1, None), compression="gzip"
        )

    replace_token(preset, change)
    refused(preset, "larger than itself")


@pytest.mark.parametrize("options", [{"compression": "lzf"}, {"fletcher32": True}])
def test_other_filters(preset, options):
    def change(file):
        file.create_dataset(TOKEN, data=np.zeros((1, 16), "float32"), **options)

    replace_token(preset, change)
    refused(preset, "gzip")


def test_gzip_of_gzip(preset):
    def change(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((1, 16))
        creation.set_deflate(9)
        creation.set_deflate(9)
        space = h5py.h5s.create_simple((1, 16))
        dataset = h5py.h5d.create(
            file["mask_decoder/iou_token/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, creation
        )
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((1, 16), "float32"))

    replace_token(preset, change)
    refused(preset, "gzip")


def move(preset, place):
    """Makes the header of a weight point to another place in the file."""
    weights = preset / "model.weights.h5"
    with h5py.File(weights) as file:
        old = struct.pack("<QQ", file[TOKEN].id.get_offset(), 64)
        new = struct.pack("<QQ", place(file), 64)
    content = weights.read_bytes()
    assert content.count(old) == 1
    weights.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("shift", [0, 4, -4])
def test_arrays_that_share_storage(preset, shift):
    move(preset, lambda file: file[OTHER].id.get_offset() + shift)
    refused(preset, "overlap")


def test_an_array_beyond_the_end_of_the_file(preset):
    move(preset, lambda file: file.id.get_filesize() - 32)
    refused(preset, r"beyond|truncated|damaged")
