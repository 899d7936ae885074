import json

import pytest

from keras_sam.checkpoints import CheckpointError, read_checkpoint


def edit(preset, changes):
    file = preset / "image_converter.json"
    contents = json.loads(file.read_text())
    contents["config"].update(changes)
    file.write_text(json.dumps(contents))
    return read_checkpoint(preset, load_weights=False).preprocessing


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": [64, -1]},
        {"image_size": 10**12},
        {"scale": 1e30},
        {"scale": "1/255"},
        {"offset": [0.0] * 1000},
        {"interpolation": ["bilinear"]},
        {"antialias": "yes"},
    ],
)
def test_absurd_settings(preset, changes):
    with pytest.raises(CheckpointError, match=f"image converter of .* {next(iter(changes))}="):
        edit(preset, changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": [32, 64]},
        {"scale": [0.1, 0.2, 0.3]},
        {"scale": 1},
        {"offset": None},
        {"bounding_box_format": "xyxy"},
    ],
)
def test_other_settings_are_kept(preset, changes):
    assert changes.items() <= edit(preset, changes).items()
