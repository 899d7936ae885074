import json

import pytest

from keras_sam.checkpoints.checkpoint import CheckpointError
from keras_sam.checkpoints.read_checkpoint import read_checkpoint


def refused(preset, part, changes, match):
    contents = json.loads((preset / "config.json").read_text())
    contents["config"][part]["config"].update(changes)
    (preset / "config.json").write_text(json.dumps(contents))
    with pytest.raises(CheckpointError, match=match):
        read_checkpoint(preset, load_weights=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 2**15, "num_heads": 2**4},
        {"num_layers": 512, "hidden_size": 2**10, "intermediate_dim": 2**13},
        {"image_shape": [2**16, 2**16, 3], "patch_size": 1},
        {"image_shape": [64, 64, 3], "window_size": 2**16, "num_layers": 512, "hidden_size": 2**12},
    ],
)
def test_more_parameters_than_any_model(preset, changes):
    refused(preset, "image_encoder", changes, "parameters")


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("image_encoder", {"patch_size": 128}),
        ("image_encoder", {"num_heads": 32}),
        ("prompt_encoder", {"hidden_size": 1}),
        ("prompt_encoder", {"mask_in_channels": 3}),
        ("mask_decoder", {"embedding_dim": 4}),
        ("mask_decoder", {"num_heads": 32}),
    ],
)
def test_weights_of_no_size(preset, part, changes):
    refused(preset, part, changes, r"the weight .* shape .*\b(0|-1)\b")


@pytest.mark.parametrize("value", [pytest.param(10**400, id="huge"), -0.5, 1, "1e-6", None, True])
def test_absurd_epsilon(preset, value):
    refused(preset, "image_encoder", {"layer_norm_epsilon": value}, "layer_norm_epsilon")


def test_a_deeply_nested_value(preset):
    value = []
    for _ in range(300):
        value = [value]
    refused(preset, "image_encoder", {"hidden_size": value}, r"hidden_size=\[")
