"""Hostile HDF5 files: declarations, storage, and chunks that inflate to other sizes."""

import struct
import zlib

import h5py
import numpy as np
import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint

TOKEN = "mask_decoder/iou_token/vars/0"
OTHER = "layers/sam_prompt_encoder/no_mask_embed/vars/0"  # of the same size, 64 bytes


def assert_refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(preset).arrays)


def replace_token(preset, **options):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        return file.create_dataset(TOKEN, **options)


def write_chunk(preset, content, *, filter_mask=0, compression="gzip"):
    """Replace a weight of 64 bytes by a chunk of any content."""
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        dataset = file.create_dataset(
            TOKEN, shape=(1, 16), dtype="float32", chunks=(1, 16), compression=compression
        )
        dataset.id.write_direct_chunk((0, 0), content, filter_mask)


@pytest.mark.parametrize("data", [np.zeros((1, 16), "int32"), np.full((1, 16), b"x")])
def test_other_types_than_floats(preset, data):
    replace_token(preset, data=data)
    assert_refused(preset, "expected floats")


def test_dataset_that_is_not_stored(preset):
    replace_token(preset, shape=(1, 16), dtype="float32")
    assert_refused(preset, "declares 64 bytes")


def test_external_storage(preset, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(64))
    external = [(str(tmp_path / "secret"), 0, 64)]
    replace_token(preset, shape=(1, 16), dtype="float32", external=external)
    assert_refused(preset, "outside the file")


def test_virtual_dataset(preset):
    layout = h5py.VirtualLayout((1, 16), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (1, 16))
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        file.create_virtual_dataset(TOKEN, layout)
    assert_refused(preset, "outside the file")


def test_gzip_in_one_chunk_is_read(preset):
    data = np.arange(16, dtype="float32")[None]
    replace_token(preset, data=data, compression="gzip", chunks=(1, 16))
    np.testing.assert_array_equal(read_checkpoint(preset).arrays["mask_decoder/iou_token"], data)


@pytest.mark.parametrize("shuffle", [True, False])
def test_gzip_in_many_chunks_is_read(preset, tiny, shuffle):
    path = "mask_decoder/iou_prediction_head/mlp_block/layers/dense/vars/0"
    data = tiny.arrays["mask_decoder/iou_head/dense1/kernel"]
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[path]
        file.create_dataset(path, data=data, compression="gzip", chunks=(7, 3), shuffle=shuffle)
    kernel = read_checkpoint(preset).arrays["mask_decoder/iou_head/dense1/kernel"]
    np.testing.assert_array_equal(kernel, data)


@pytest.mark.parametrize("inflated", [2**24, 64 * 100, 65, 63, 0])
def test_chunk_that_inflates_to_another_size(preset, inflated):
    write_chunk(preset, zlib.compress(bytes(inflated), 9))
    assert_refused(preset, "iou_token.* (inflate|stored in)")


def test_chunk_that_is_not_gzip(preset):
    write_chunk(preset, b"not gzip at all")
    assert_refused(preset, "iou_token")


def test_chunk_that_skips_its_filter(preset):
    write_chunk(preset, bytes(64), filter_mask=1)
    assert_refused(preset, "skips")


def test_uncompressed_chunk_of_another_size(preset):
    write_chunk(preset, bytes(4096), compression=None)
    assert_refused(preset, "stored in 4096 bytes")


def test_missing_chunk(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        dataset = file.create_dataset(TOKEN, shape=(1, 16), dtype="float32", chunks=(1, 4))
        dataset[0, :4] = 1.0
    assert_refused(preset, "1 of 4 chunks")


def test_chunks_larger_than_the_array(preset):
    options = {"chunks": (1, 2**20), "maxshape": (1, None), "compression": "gzip"}
    replace_token(preset, data=np.zeros((1, 16), "float32"), **options)
    assert_refused(preset, "larger than itself")


@pytest.mark.parametrize("options", [{"compression": "lzf"}, {"fletcher32": True}])
def test_other_filters_than_gzip(preset, options):
    replace_token(preset, data=np.zeros((1, 16), "float32"), **options)
    assert_refused(preset, "gzip")


def test_gzip_twice(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((1, 16))
        creation.set_deflate(9)
        creation.set_deflate(9)
        space = h5py.h5s.create_simple((1, 16))
        dataset = h5py.h5d.create(
            file["mask_decoder/iou_token/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, creation
        )
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((1, 16), "float32"))
    assert_refused(preset, "gzip")


def move(preset, position):
    """Let the header of a weight point to another position in the file."""
    weights = preset / "model.weights.h5"
    with h5py.File(weights) as file:
        old = struct.pack("<QQ", file[TOKEN].id.get_offset(), 64)
        new = struct.pack("<QQ", position(file), 64)
    content = weights.read_bytes()
    assert content.count(old) == 1
    weights.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("shift", [0, 4, -4])
def test_arrays_that_share_storage(preset, shift):
    move(preset, lambda file: file[OTHER].id.get_offset() + shift)
    assert_refused(preset, "overlap")


def test_array_beyond_the_end_of_the_file(preset):
    move(preset, lambda file: file.id.get_filesize() - 32)
    assert_refused(preset, r"beyond|truncated|damaged")
