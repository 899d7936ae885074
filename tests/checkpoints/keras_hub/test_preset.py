import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.keras_hub.write_preset import write_keras_hub
from keras_sam.checkpoints.preset_files import SHARD
from keras_sam.checkpoints.read_checkpoint import read_checkpoint

FILES = [
    "config.json",
    "image_converter.json",
    "metadata.json",
    "model.weights.h5",
    "preprocessing.json",
    "preprocessor.json",
    "task.json",
    "task.weights.h5",
]


def assert_same(found, expected):
    assert found.config == expected.config
    assert set(found.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_reading_gives_what_was_written(preset, tiny):
    assert sorted(path.name for path in preset.iterdir()) == FILES
    assert_same(read_checkpoint(preset), tiny)


def test_the_image_converter_pads_and_does_not_crop(preset):
    config = json.loads((preset / "image_converter.json").read_text())["config"]
    assert config["pad_to_aspect_ratio"]
    assert not config["crop_to_aspect_ratio"]
    assert config["scale"] == pytest.approx(1 / 255)
    assert config["image_size"] == [64, 64]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_survives(tiny, tmp_path, dtype):
    import ml_dtypes

    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    arrays = {name: array.astype(kind) for name, array in tiny.arrays.items()}
    half = replace(tiny, arrays=arrays)
    write_keras_hub(tmp_path / "half", half, task=False)
    assert_same(read_checkpoint(tmp_path / "half"), half)


def test_shards(tiny, tmp_path):
    write_keras_hub(tmp_path / "shards", tiny, task=False, max_shard_size=60_000 / 2**30)
    names = [path.name for path in (tmp_path / "shards").iterdir()]
    assert sum(SHARD.fullmatch(name) is not None for name in names) > 1
    assert "model.weights.h5" not in names
    assert_same(read_checkpoint(tmp_path / "shards"), tiny)


def test_a_failure_leaves_the_old_preset_and_nothing_else(preset, tiny, tmp_path):
    before = {path.name: path.read_bytes() for path in preset.iterdir()}
    name = list(tiny.arrays)[-1]
    broken = replace(tiny, arrays=tiny.arrays | {name: np.full_like(tiny.arrays[name], np.nan)})
    with pytest.raises(CheckpointError, match="NaN"):
        write_keras_hub(preset, broken, task=True)
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_a_crash_at_the_last_step_leaves_the_old_preset(preset, tiny, tmp_path, monkeypatch):
    before = {path.name: path.read_bytes() for path in preset.iterdir()}

    def fail(*_):
        raise OSError("disk on fire")

    monkeypatch.setattr("keras_sam.files.atomic_directory._put_in_place", fail)
    with pytest.raises(CheckpointError, match="disk on fire"):
        write_keras_hub(preset, tiny, task=False)
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_old_preset_is_replaced(preset, tiny, tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr("keras_sam.files.atomic_directory._exchange", lambda *_: False)
    (preset / "README.md").write_text("mine")
    write_keras_hub(preset, tiny, task=False)
    names = sorted(path.name for path in preset.iterdir())
    assert names == [
        "README.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
        "preprocessing.json",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_a_directory_that_is_no_preset_is_not_replaced(tiny, tmp_path):
    (tmp_path / "photo.jpg").write_text("precious")
    with pytest.raises(CheckpointError, match=r"photo\.jpg"):
        write_keras_hub(tmp_path, tiny, task=False)
    assert (tmp_path / "photo.jpg").read_text() == "precious"


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
def test_an_unrelated_config_is_not_replaced(tiny, tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "README.md").write_text("precious")
    with pytest.raises(CheckpointError, match=r"not a preset of SAM .* choose another directory"):
        write_keras_hub(tmp_path, tiny, task=False)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"config.json": config, "README.md": "precious"}


@pytest.mark.parametrize("name", ["model.weights.h5", "README.md"])
def test_a_directory_with_a_files_name_is_not_replaced(preset, tiny, name):
    (preset / name).unlink(missing_ok=True)
    (preset / name).mkdir()
    (preset / name / "photo.jpg").write_text("precious")
    with pytest.raises(CheckpointError, match=f"not a preset of SAM .{name}"):
        write_keras_hub(preset, tiny, task=False)
    assert (preset / name / "photo.jpg").read_text() == "precious"


def test_missing_weights_are_listed(tiny, tmp_path):
    arrays = dict(tiny.arrays)
    del arrays["mask_decoder/iou_token"]
    with pytest.raises(CheckpointError, match="missing mask_decoder/iou_token"):
        write_keras_hub(tmp_path / "new", replace(tiny, arrays=arrays), task=False)
    assert not (tmp_path / "new").exists()


def test_task_weights_are_the_mask_decoder(preset, tiny):
    with h5py.File(preset / "task.weights.h5") as file:
        token = file["layers/sam_mask_decoder/iou_token/vars/0"][()]
    np.testing.assert_array_equal(token, tiny.arrays["mask_decoder/iou_token"])
