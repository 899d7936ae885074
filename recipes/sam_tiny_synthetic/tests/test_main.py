"""The command line."""

import json

import pytest
from typer.testing import CliRunner

from recipes.sam_tiny_synthetic import ablation
from recipes.sam_tiny_synthetic import train as train_module
from recipes.sam_tiny_synthetic.__main__ import app
from recipes.sam_tiny_synthetic.training_config import TrainingConfig, build_training_config


@pytest.fixture
def configs(monkeypatch) -> list[TrainingConfig]:
    """Records the settings of training runs, which take no step."""
    configs = []

    def train(config, output, *, progress, scene_progress):
        configs.append(config)
        scene_progress(config.num_scenes)
        progress({"phase": 0, "step": 3, "steps": 3, "loss": 0.5})

    monkeypatch.setattr(train_module, "train", train)
    return configs


def run(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_train_without_options_uses_the_settings_of_the_shipped_preset(configs, tmp_path):
    result = run("train", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert configs == [TrainingConfig()]
    assert str(tmp_path / "preset") in result.stdout


def test_train_options_change_the_settings(configs, tmp_path):
    options = ["--steps", 40, "--scenes", 7, "--dataset", tmp_path, "--init-from", "some_preset"]
    options += ["--start-phase", 2, "--seed", 3, "--workers", 0, "--dtype", "bfloat16", "--json"]
    result = run("train", "--output", tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert configs == [
        build_training_config(
            steps=40,
            num_scenes=7,
            dataset=str(tmp_path),
            init_from="some_preset",
            start_phase=2,
            seed=3,
            num_workers=0,
            dtype="bfloat16",
        )
    ]
    assert json.loads(result.stdout)["last"]["loss"] == 0.5


def test_errors_are_one_sentence(configs, tmp_path):
    result = run("train", "--output", tmp_path, "--steps", 1)
    assert result.exit_code == 1
    assert "expected at least" in result.stderr
    assert not configs


def test_ablation_options_are_passed_on(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(ablation, "run_ablation", lambda *args, **kwargs: calls.append(kwargs))
    result = run("ablation", "a.json", "--images", tmp_path, "--steps", 4, "--variant", "no camera")
    assert result.exit_code == 0, result.output
    assert (calls[0]["steps"], calls[0]["variants"]) == (4, ["no camera"])
