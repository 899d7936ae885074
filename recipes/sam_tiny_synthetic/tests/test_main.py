import pytest

from recipes.sam_tiny_synthetic.__main__ import recipe_of
from recipes.sam_tiny_synthetic.training_config import Recipe


def test_options_left_out_are_the_recipe_of_the_preset():
    assert recipe_of(steps=None, seed=None, scenes=None) == Recipe()


def test_options_change_what_they_name():
    recipe = recipe_of(seed=5, scenes=3, workers=2)
    assert (recipe.seed, recipe.scenes, recipe.workers) == (5, 3, 2)
    assert recipe.phases == Recipe().phases


FEWEST = len(Recipe().phases)  # steps: one for each phase


@pytest.mark.parametrize("steps", [FEWEST, FEWEST + 1, 13, 100, 2001])
def test_steps_are_shared_out_over_the_phases(steps):
    phases = recipe_of(steps=steps).phases
    assert sum(phase.steps for phase in phases) == steps
    assert all(phase.steps > 0 for phase in phases)


def test_too_few_steps():
    with pytest.raises(ValueError, match=f"at least {FEWEST} steps, one for each phase, got 2"):
        recipe_of(steps=2)
