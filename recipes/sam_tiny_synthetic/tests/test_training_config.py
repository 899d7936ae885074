"""Overrides of the shipped preset's settings."""

import pytest

from recipes.sam_tiny_synthetic.training_config import (
    TrainingConfig,
    apportion,
    build_training_config,
)

NUM_PHASES = len(TrainingConfig().phases)


def test_options_that_are_not_given_keep_the_defaults():
    assert build_training_config(steps=None, seed=None, num_scenes=None) == TrainingConfig()


def test_options_change_their_fields_alone():
    config = build_training_config(seed=5, num_scenes=3, num_workers=0)
    assert (config.seed, config.num_scenes, config.num_workers) == (5, 3, 0)
    assert config.phases == TrainingConfig().phases


@pytest.mark.parametrize("steps", [NUM_PHASES, NUM_PHASES + 1, 13, 100, 2001])
def test_steps_are_distributed_over_all_phases(steps):
    phases = build_training_config(steps=steps).phases
    assert sum(phase.steps for phase in phases) == steps
    assert all(phase.steps > 0 for phase in phases)


def test_fewer_steps_than_phases_raise():
    with pytest.raises(ValueError, match=f"at least {NUM_PHASES} steps, one per phase, got 2"):
        build_training_config(steps=2)


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [(10, [1, 1], [5, 5]), (103, [1, 3], [26, 77]), (4, [100, 1, 1], [2, 1, 1])],
)
def test_parts_are_proportional_to_their_weights(total, weights, expected):
    assert apportion(total, weights) == expected


def test_only_phases_from_the_first_one_on_run():
    config = build_training_config(start_phase=NUM_PHASES - 2)
    assert list(config.phase_indices) == [NUM_PHASES - 2, NUM_PHASES - 1]
