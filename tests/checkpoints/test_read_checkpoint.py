import contextlib
import json

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint

TOKEN = "mask_decoder/iou_token/vars/0"


def edit_config(preset, change):
    config = json.loads((preset / "config.json").read_text())
    change(config)
    (preset / "config.json").write_text(json.dumps(config))


def replace_token(preset, **options):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        file.create_dataset(TOKEN, **options)


def refused(preset, match):
    with pytest.raises(CheckpointError, match=match):
        dict(read_checkpoint(preset).arrays)


@pytest.mark.parametrize("package", ["keras_hub", "keras_nlp", "keras_sam"])
def test_known_packages(preset, package):
    edit_config(preset, lambda c: c.update(registered_name=f"{package}>SAMBackbone"))
    assert read_checkpoint(preset, load_weights=False).class_name == "SAMBackbone"


@pytest.mark.parametrize("name", ["keras_hub>GemmaBackbone", "evil>SAMBackbone", "Lambda"])
def test_unknown_class(preset, name):
    edit_config(preset, lambda c: c.update(registered_name=name))
    refused(preset, name.rpartition(">")[2])


def test_unknown_argument(preset):
    edit_config(preset, lambda c: c["config"]["mask_decoder"]["config"].update(extra=1))
    refused(preset, "extra")


@pytest.mark.parametrize("value", [-1, 10**9, "16", True, None, [16], 1.5])
def test_invalid_argument(preset, value):
    edit_config(preset, lambda c: c["config"]["image_encoder"]["config"].update(hidden_size=value))
    refused(preset, "hidden_size")


def test_unknown_dtype(preset):
    edit_config(preset, lambda c: c["config"].update(dtype="int8_from_float32"))
    refused(preset, "int8")


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "3"])
def test_damaged_config(preset, text):
    (preset / "config.json").write_text(text)
    refused(preset, "config")


def test_missing_weights_file(preset):
    (preset / "model.weights.h5").unlink()
    refused(preset, "no model.weights.h5")


@pytest.mark.parametrize("content", [b"", b"not hdf5 at all"])
def test_not_hdf5(preset, content):
    (preset / "model.weights.h5").write_bytes(content)
    refused(preset, "not an HDF5 file")


def test_missing_and_left_over_weights(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file.move(TOKEN, "mask_decoder/iou_tokens/vars/0")
    refused(preset, "missing mask_decoder/iou_token/vars/0 .nearest: mask_decoder/iou_tokens")


def test_wrong_shape(preset):
    replace_token(preset, data=np.zeros((2, 16), "float32"))
    refused(preset, r"\(2, 16\), expected \(1, 16\)")


@pytest.mark.parametrize("data", [np.zeros((1, 16), "int32"), np.full((1, 16), b"x")])
def test_wrong_type(preset, data):
    replace_token(preset, data=data)
    refused(preset, "expected floats")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(preset, value):
    replace_token(preset, data=np.full((1, 16), value, "float32"))
    refused(preset, "NaN or infinity")


def test_declared_but_not_stored(preset):
    replace_token(preset, shape=(1, 16), dtype="float32")
    refused(preset, "declares 64 bytes")


def test_external_storage(preset, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(64))
    replace_token(
        preset, shape=(1, 16), dtype="float32", external=[(str(tmp_path / "secret"), 0, 64)]
    )
    refused(preset, "outside the file")


def test_virtual_dataset(preset):
    layout = h5py.VirtualLayout((1, 16), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (1, 16))
    with h5py.File(preset / "model.weights.h5", "a") as file:
        del file[TOKEN]
        file.create_virtual_dataset(TOKEN, layout)
    refused(preset, "outside the file")


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/mask_decoder/mask_tokens"), h5py.ExternalLink("o.h5", "/x")]
)
@pytest.mark.parametrize("place", [TOKEN, "mask_decoder/iou_token", "mask_decoder/extra"])
def test_links(preset, link, place):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        if place in file:
            del file[place]
        file[place] = link
    refused(preset, "link")


def test_a_cycle_of_groups(preset):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file["mask_decoder/again"] = file["mask_decoder"]
    refused(preset, "two names")


def test_compressed_weights_are_read(preset):
    data = np.arange(16, dtype="float32")[None]
    replace_token(preset, data=data, compression="gzip", chunks=(1, 16))
    np.testing.assert_array_equal(read_checkpoint(preset).arrays["mask_decoder/iou_token"], data)


@pytest.mark.parametrize("name", ["../model_00000.weights.h5", "/etc/passwd", "x.h5", 3])
def test_shard_names(preset, name):
    (preset / "model.weights.h5").unlink()
    (preset / "model.weights.json").write_text(json.dumps({"weight_map": {"/a/vars": name}}))
    refused(preset, "names the file")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0.0, 0.999), flip=st.integers(1, 255))
def test_cut_and_flipped_files_raise_nothing_else(preset, share, flip):
    file = preset / "model.weights.h5"
    content = file.read_bytes()
    place = int(share * len(content))
    try:
        file.write_bytes(content[:place])
        with pytest.raises(CheckpointError):
            dict(read_checkpoint(preset).arrays)
        changed = bytearray(content)
        changed[place] ^= flip
        file.write_bytes(changed)
        with contextlib.suppress(CheckpointError):
            dict(read_checkpoint(preset).arrays)
    finally:
        file.write_bytes(content)


def test_unknown_name_lists_the_built_in_ones():
    with pytest.raises(CheckpointError, match="Did you mean 'sam_base_sa1b'"):
        read_checkpoint("sam_bas_sa1b")


@pytest.mark.parametrize("address", ["hf://a", "hf://a/../b", "kaggle://a/b", "s3://a/b"])
def test_malformed_addresses(address):
    with pytest.raises(CheckpointError, match="not a preset's address"):
        read_checkpoint(address)
