from dataclasses import replace

import h5py
import ml_dtypes
import numpy as np
import pytest

from keras_sam.checkpoints import Checkpoint, CheckpointError, read_checkpoint, write_keras_hub
from keras_sam.checkpoints.keras_hub.preset import read_keras_hub
from keras_sam.transforms.inference_config import NAMED_CONFIGS
from tests.checkpoints.conftest import assert_same_arrays

FILES = [
    "config.json",
    "image_converter.json",
    "metadata.json",
    "model.weights.h5",
    "preprocessor.json",
    "task.json",
    "task.weights.h5",
]


def contents_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def assert_same(checkpoint, expected):
    assert checkpoint.config == expected.config
    assert_same_arrays(checkpoint.arrays, expected.arrays)


def test_round_trip(preset, tiny):
    assert sorted(path.name for path in preset.iterdir()) == FILES
    assert_same(read_keras_hub(preset), tiny)
    assert read_keras_hub(preset).source == str(preset)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_half_precision_is_kept(tiny, tmp_path, dtype):
    arrays = {name: array.astype(dtype) for name, array in tiny.arrays.items()}
    half = replace(tiny, arrays=arrays)
    write_keras_hub(tmp_path / "half", half, task=False)
    assert_same(read_checkpoint(tmp_path / "half"), half)


def test_shards(tiny, tmp_path):
    write_keras_hub(tmp_path / "shards", tiny, task=False, max_shard_size=60_000 / 2**30)
    names = {path.name for path in (tmp_path / "shards").iterdir()}
    assert {"model_00000.weights.h5", "model_00001.weights.h5", "model.weights.json"} <= names
    assert "model.weights.h5" not in names
    assert_same(read_checkpoint(tmp_path / "shards"), tiny)


def test_task_weights_are_the_mask_decoder(preset, tiny):
    with h5py.File(preset / "task.weights.h5") as file:
        token = file["layers/sam_mask_decoder/iou_token/vars/0"][()]
    np.testing.assert_array_equal(token, tiny.arrays["mask_decoder/iou_token"])


def test_failure_keeps_the_old_preset(preset, tiny, tmp_path):
    before = contents_of(preset)
    name = list(tiny.arrays)[-1]
    broken = replace(tiny, arrays=tiny.arrays | {name: np.full_like(tiny.arrays[name], np.nan)})
    with pytest.raises(CheckpointError, match="NaN"):
        write_keras_hub(preset, broken, task=True)
    assert contents_of(preset) == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_full_disk_keeps_the_old_preset(preset, tiny, tmp_path, monkeypatch):
    before = contents_of(preset)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CheckpointError, match=r"cannot write the preset .*disk full"):
        write_keras_hub(preset, tiny, task=False)
    assert contents_of(preset) == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_old_preset_is_replaced_and_its_readme_kept(preset, tiny, tmp_path):
    (preset / "README.md").write_text("mine")
    model = replace(tiny, inference_config=NAMED_CONFIGS["medsam"])
    write_keras_hub(preset, model, task=False)
    names = ["README.md", "config.json", "inference_config.json", "metadata.json"]
    assert sorted(path.name for path in preset.iterdir()) == [*names, "model.weights.h5"]
    write_keras_hub(preset, tiny, task=False)
    assert not (preset / "inference_config.json").exists()
    assert (preset / "README.md").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_other_directories_are_not_replaced(tiny, tmp_path):
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(CheckpointError, match=r"photo\.jpg"):
        write_keras_hub(tmp_path, tiny, task=False)
    assert contents_of(tmp_path) == {"photo.jpg": b"precious"}


@pytest.mark.parametrize(
    "config",
    [
        '{"name": "my project"}',
        '{"model_type": "sam"}',
        '{"registered_name": "keras_hub>GemmaBackbone"}',
        '{"registered_name": "other>SAMBackbone"}',
        "not JSON",
        "",
    ],
)
def test_other_configs_are_not_replaced(tiny, tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "README.md").write_text("precious")
    with pytest.raises(CheckpointError, match=r"not a preset of SAM .* choose another directory"):
        write_keras_hub(tmp_path, tiny, task=False)
    expected = {"config.json": config.encode(), "README.md": b"precious"}
    assert contents_of(tmp_path) == expected


@pytest.mark.parametrize("name", ["model.weights.h5", "README.md"])
def test_directory_with_the_name_of_a_file_is_not_replaced(preset, tiny, name):
    (preset / name).unlink(missing_ok=True)
    (preset / name).mkdir()
    (preset / name / "photo.jpg").write_text("precious")
    with pytest.raises(CheckpointError, match=f"not a preset of SAM .{name}"):
        write_keras_hub(preset, tiny, task=False)
    assert (preset / name / "photo.jpg").read_text() == "precious"


def test_file_and_broken_link_are_not_replaced(tiny, tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    for name, match in (("file", "not a directory"), ("link", "broken link")):
        with pytest.raises(CheckpointError, match=match):
            write_keras_hub(tmp_path / name, tiny, task=False)


def test_missing_weights_are_listed(tiny, tmp_path):
    arrays = dict(tiny.arrays)
    del arrays["mask_decoder/iou_token"]
    with pytest.raises(CheckpointError, match="missing mask_decoder/iou_token"):
        write_keras_hub(tmp_path / "new", replace(tiny, arrays=arrays), task=False)
    assert not (tmp_path / "new").exists()


def test_image_encoder_has_no_task(tiny, tmp_path):
    encoder = Checkpoint("ViTDetBackbone", tiny.config["image_encoder"]["config"])
    with pytest.raises(CheckpointError, match="ViTDetBackbone has no task"):
        write_keras_hub(tmp_path / "encoder", encoder, task=True)
