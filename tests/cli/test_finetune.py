"""`keras-sam finetune`."""

import dataclasses
import json
import typing

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_sam.cli.app import app
from keras_sam.cli.finetune import finetune_command
from keras_sam.train.finetune_config import FinetuneConfig


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "dataset"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(7):
        mask = np.zeros((40, 56), np.uint8)
        mask[5 + index : 25, 4:40] = 255
        Image.fromarray(np.stack([mask] * 3, axis=-1) // 2).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


def test_a_preset_is_trained_and_reported(folder, tiny_preset, tmp_path):
    options = ["--preset", tiny_preset, "--output", tmp_path / "run", "--epochs", 1]
    result = run(folder, *options, "--views", 1, "--masks-per-image", 2)
    assert result.exit_code == 0, result.output
    assert "7 images" in result.output
    assert "epoch 1/1: loss" in result.output
    assert "box_iou" in result.output
    assert (tmp_path / "run" / "preset" / "config.json").exists()
    again = run(folder, *options, "--views", 1, "--masks-per-image", 2, "--json")
    content = json.loads(again.stdout)
    assert content["logs"][0]["epoch"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "head"], "part must be one of decoder, lora, all, got 'head'"),
        (["--image-size", 301], "must be multiples of the patch size"),
        (["--format", "xml"], "format must be one of"),
    ],
)
def test_wrong_options_are_one_line(folder, tmp_path, arguments, message):
    result = run(folder, "--output", tmp_path / "run", *arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_help_states_the_defaults():
    options = typing.get_type_hints(finetune_command, include_extras=True)
    fields = {field.name: field.default for field in dataclasses.fields(FinetuneConfig)}
    for name, default in fields.items():
        if name in options and default is not None and not isinstance(default, bool):
            text = options[name].__metadata__[0].help
            assert f"{default} (the default)" in text or f"Default: {default}." in text, name
