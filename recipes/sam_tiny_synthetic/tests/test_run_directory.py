"""Checkpoints and logs of training runs."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from recipes.sam_tiny_synthetic.run_directory import RunDirectory
from recipes.sam_tiny_synthetic.training_config import TrainingConfig


def test_a_run_with_other_settings_raises(tmp_path):
    config = TrainingConfig()
    RunDirectory(tmp_path / "run").create(config)
    RunDirectory(tmp_path / "run").create(config)
    with pytest.raises(ValueError, match="contains a run with other settings"):
        RunDirectory(tmp_path / "run").create(replace(config, seed=2))


def test_checkpoints_restore_variables(tmp_path):
    run = RunDirectory(tmp_path)
    values = [np.arange(6, dtype="float32").reshape(2, 3), np.float32(7)]
    assert run.load_checkpoint(1, []) == 0
    run.save_checkpoint(1, [keras.Variable(value) for value in values], step=40)
    restored = [keras.Variable(np.zeros_like(value)) for value in values]
    assert run.load_checkpoint(1, restored) == 40
    for variable, value in zip(restored, values, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


def test_truncated_logs_lose_later_and_incomplete_lines(tmp_path):
    run = RunDirectory(tmp_path)
    run.truncate_log(0, 5)  # no log yet
    for phase, step in ((0, 20), (1, 20), (1, 40), (1, 60)):
        run.append_log({"phase": phase, "step": step})
    complete = run.log.read_text().splitlines(keepends=True)
    run.log.write_text("".join(complete) + '{"phase": 1, "st')
    run.truncate_log(1, 40)
    assert run.log.read_text() == "".join(complete[:3])
