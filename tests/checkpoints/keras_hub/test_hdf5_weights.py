"""HDF5 files of weights: one file or shards, and files that do not match the config."""

import contextlib

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_sam.checkpoints import CheckpointError, read_checkpoint
from keras_sam.checkpoints.keras_hub.hdf5_weights import open_hdf5_weights, write_hdf5_weights
from tests.checkpoints.conftest import assert_same_arrays

TOKEN = "mask_decoder/iou_token/vars/0"
ARRAYS = {"a": np.arange(6, dtype="float32").reshape(2, 3), "b": np.ones(4, "float32")}
PATHS = {"a": "x/vars/0", "b": "x/vars/1"}
SHAPES = {name: array.shape for name, array in ARRAYS.items()}


def replace_token(preset, **options):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        file.create_dataset(TOKEN, **options)


def assert_refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(preset).arrays)


@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize(("max_bytes", "count"), [(1000, 1), (40, 1), (39, 2), (24, 2)])
def test_written_files_are_read(tmp_path, dtype, max_bytes, count):
    arrays = {name: array.astype(dtype) for name, array in ARRAYS.items()}
    write_hdf5_weights(tmp_path, arrays, PATHS, shapes=SHAPES, max_bytes=max_bytes)
    files = sorted(tmp_path.glob("*.h5"))
    assert len(files) == count
    opened = open_hdf5_weights(files, paths=PATHS, shapes=SHAPES, source="x")
    assert_same_arrays(opened, arrays)
    assert {array.dtype for array in opened.values()} == {np.dtype(dtype)}


def test_weight_larger_than_a_shard_raises(tmp_path):
    with pytest.raises(CheckpointError, match="a takes 24 bytes, more than the 23 of a shard"):
        write_hdf5_weights(tmp_path, ARRAYS, PATHS, shapes=SHAPES, max_bytes=23)


def test_weight_in_two_shards_raises(tmp_path):
    write_hdf5_weights(tmp_path, ARRAYS, PATHS, shapes=SHAPES, max_bytes=1000)
    files = [tmp_path / "model.weights.h5", tmp_path / "copy.h5"]
    files[1].write_bytes(files[0].read_bytes())
    with pytest.raises(CheckpointError, match=r"'x' contains the weight x/vars/\d twice"):
        open_hdf5_weights(files, paths=PATHS, shapes=SHAPES, source="x")


def test_missing_file_raises(preset):
    (preset / "model.weights.h5").unlink()
    assert_refused(preset, "no model.weights.h5")


@pytest.mark.parametrize("content", [b"", b"not hdf5 at all"])
def test_other_content_than_hdf5_raises(preset, content):
    (preset / "model.weights.h5").write_bytes(content)
    assert_refused(preset, "not an HDF5 file")


def test_missing_and_unexpected_weights_are_listed(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file.move(TOKEN, "mask_decoder/iou_tokens/vars/0")
    assert_refused(
        preset,
        "missing mask_decoder/iou_token/vars/0 .nearest: mask_decoder/iou_tokens.*unexpected mask",
    )


def test_wrong_shape_raises(preset):
    replace_token(preset, data=np.zeros((2, 16), "float32"))
    assert_refused(preset, r"\(2, 16\), expected \(1, 16\)")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_raise(preset, value):
    replace_token(preset, data=np.full((1, 16), value, "float32"))
    assert_refused(preset, "NaN or infinity")


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/mask_decoder/mask_tokens"), h5py.ExternalLink("o.h5", "/x")]
)
@pytest.mark.parametrize("path", [TOKEN, "mask_decoder/iou_token", "mask_decoder/extra"])
def test_links_raise(preset, link, path):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        if path in file:
            del file[path]
        file[path] = link
    assert_refused(preset, "link")


def test_cycle_of_groups_raises(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file["mask_decoder/again"] = file["mask_decoder"]
    assert_refused(preset, "two names")


def test_deep_groups_raise(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file.create_group("/".join("a" * 50))
    assert_refused(preset, "far more than the model's weights")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0.0, 0.999), flip=st.integers(1, 255))
def test_truncated_and_flipped_files_raise_only_checkpoint_errors(preset, share, flip):
    file = preset / "model.weights.h5"
    content = file.read_bytes()
    position = int(share * len(content))
    try:
        file.write_bytes(content[:position])
        with pytest.raises(CheckpointError):
            dict(read_checkpoint(preset).arrays)
        changed = bytearray(content)
        changed[position] ^= flip
        file.write_bytes(changed)
        with contextlib.suppress(CheckpointError):
            dict(read_checkpoint(preset).arrays)
    finally:
        file.write_bytes(content)
