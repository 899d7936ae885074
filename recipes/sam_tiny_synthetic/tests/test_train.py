"""A run that is stopped and started again ends where one goes that was never stopped."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from keras_sam.models.sam_backbone import SAMBackbone
from keras_sam.train.flush_denormals import flush_denormals
from recipes.sam_tiny_synthetic.train import _batch_options, _optimizer, default_num_workers, train
from recipes.sam_tiny_synthetic.training_config import Phase, Recipe
from tests.tiny_model import tiny_model

RECIPE = Recipe(
    phases=(
        Phase(image_size=64, steps=2, images=1, prompts=2, loss="affinity"),
        Phase(image_size=32, steps=2, images=1, prompts=2, loss="affinity"),
    ),
    image_size=48,
    scenes=2,
    workers=0,
    save_every=1,
)


class StopError(Exception):
    pass


def stop_in_the_last_phase(line):
    """Comes after the last step and before its checkpoint."""
    if line["phase"] == 1:
        raise StopError


def log(output):
    """The lines of a run's log but for what depends on the machine."""
    lines = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [{name: line[name] for name in line if name != "seconds"} for line in lines]


def test_a_stopped_run_goes_on(tmp_path):
    whole = train(RECIPE, tmp_path / "whole")
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "scenes").symlink_to(tmp_path / "whole" / "scenes")
    with pytest.raises(StopError):
        train(RECIPE, tmp_path / "stopped", progress=stop_in_the_last_phase)
    again = train(RECIPE, tmp_path / "stopped")
    for found, expected in zip(again.weights, whole.weights, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found), ops.convert_to_numpy(expected), atol=1e-6
        )
    saved = SAMBackbone.from_preset(tmp_path / "whole" / "preset")
    assert saved.image_shape == (48, 48, 3)  # larger than those of the last phase
    assert saved.thresholds["pred_iou_thresh"] == RECIPE.pred_iou_thresh
    assert saved.preprocessing["box_masks"] == RECIPE.box_masks
    assert [line["phase"] for line in log(tmp_path / "whole")] == [0, 1]
    for found, expected in zip(log(tmp_path / "stopped"), log(tmp_path / "whole"), strict=True):
        assert found == pytest.approx(expected, abs=1e-3)  # and no step twice
    with pytest.raises(ValueError, match="another recipe"):
        train(Recipe(scenes=3), tmp_path / "whole")


def test_one_worker_makes_batches_where_processors_train():
    assert default_num_workers(tiny_model()) == 1


def test_a_run_goes_on_from_a_preset_with_a_later_phase(tmp_path):
    recipe = replace(RECIPE, image_size=64)
    train(replace(recipe, phases=recipe.phases[:1]), tmp_path / "before")
    before = SAMBackbone.from_preset(tmp_path / "before" / "preset")
    still = replace(recipe.phases[1], image_size=64, learning_rate=0.0)
    later = replace(
        recipe,
        phases=(recipe.phases[0], still),
        start=str(tmp_path / "before" / "preset"),
        first_phase=1,
    )
    (tmp_path / "after").mkdir()
    (tmp_path / "after" / "scenes").symlink_to(tmp_path / "before" / "scenes")
    after = train(later, tmp_path / "after")
    for found, expected in zip(after.backbone.weights, before.weights, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))
    assert json.loads((tmp_path / "after" / "log.jsonl").read_text())["phase"] == 1


@pytest.mark.parametrize(
    "recipe", [Recipe(phases=()), Recipe(first_phase=99), Recipe(dtype="float33")]
)
def test_a_recipe_that_cannot_be_run_writes_nothing(tmp_path, recipe):
    with pytest.raises(ValueError, match=r"at least one phase|float33"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"labeled": "nowhere"},
        {"start": "nowhere"},
        {"first_phase": 2},
        {"dtype": "float5"},
    ],
)
def test_a_recipe_that_cannot_be_run_leaves_nothing(tmp_path, changes):
    with pytest.raises((ValueError, FileNotFoundError), match=r"nowhere|first_phase=2|float5"):
        train(replace(RECIPE, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few_labeled_images_leave_nothing(tmp_path):
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(ValueError, match="hold out"):
        train(replace(RECIPE, labeled=str(tmp_path)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_phase_ends_with_the_average_of_its_weights(tmp_path):
    phase = replace(RECIPE.phases[1], steps=2, averaging=0.75)
    recipe = replace(RECIPE, phases=(phase,), image_size=phase.image_size, save_every=1)
    saved = []

    def keep(line):
        """Comes after step 2, when the checkpoint is still that of step 1."""
        with np.load(tmp_path / "phase0.npz") as state:
            saved.append(dict(state))

    final = train(recipe, tmp_path, progress=keep)
    with np.load(tmp_path / "phase0.npz") as state:
        saved.append(dict(state))
    first, second = saved
    assert (first["step"], second["step"]) == (1, 2)
    averages = [0.75 * first[name] + 0.25 * second[name] for name in first if name != "step"]
    for weight in final.trainable_weights:
        array = ops.convert_to_numpy(weight)
        assert any(
            array.shape == average.shape and np.allclose(array, average, atol=1e-6)
            for average in averages
        ), weight.path


def test_the_preset_has_the_mean_of_the_ends_of_phases(tmp_path):
    first, second = (replace(phase, image_size=32) for phase in RECIPE.phases)
    counted = replace(first, mean_weight=1.0)
    half = replace(second, mean_weight=0.5)
    still = replace(second, steps=1, learning_rate=1e-9, starts_from_mean=True, mean_weight=1.0)
    runs = {
        "first": (counted, second),
        "second": (first, second),
        "mean": (counted, half),
        "from mean": (counted, half, still),
    }
    weights = {}
    for name, phases in runs.items():
        (tmp_path / name).mkdir()
        if name != "first":
            (tmp_path / name / "scenes").symlink_to(tmp_path / "first" / "scenes")
        train(replace(RECIPE, phases=phases, image_size=32), tmp_path / name)
        saved = SAMBackbone.from_preset(tmp_path / name / "preset")
        weights[name] = [ops.convert_to_numpy(weight) for weight in saved.weights]
    ends = list(zip(weights["first"], weights["second"], strict=True))
    assert max(np.abs(one - other).max() for one, other in ends) > 1e-3
    for name in ("mean", "from mean"):
        for found, (one, other) in zip(weights[name], ends, strict=True):
            np.testing.assert_allclose(found, (one + other / 2) / 1.5, atol=1e-6)


def test_a_phase_tells_how_close_its_crops_are(tmp_path):
    phase = replace(
        RECIPE.phases[0], labeled_share=0.25, closest_crop=0.2, closest_labeled_crop=0.3
    )
    recipe = replace(RECIPE, phases=(phase,), labeled="nuclei")
    options = _batch_options(recipe, 0, tmp_path, 8)
    assert options.weights == (0.75, 0.25)
    assert options.min_crops == (0.2, 0.3)
    alone = _batch_options(replace(recipe, labeled=None), 0, tmp_path, 8)
    assert (alone.weights, alone.min_crops) == ((1.0,), (0.2,))


def test_matrices_of_blocks_learn_by_muon_and_all_else_by_adam():
    segmenter = tiny_model()
    optimizer = _optimizer(RECIPE.phases[0])
    optimizer.build(segmenter.trainable_variables)
    by_muon = {
        variable.path
        for variable, velocity in zip(
            segmenter.trainable_variables, optimizer.adam_velocities, strict=True
        )
        if velocity is None
    }
    kernels = {
        variable.path
        for variable in segmenter.trainable_variables
        if variable.path.endswith("kernel")
        and ("attention" in variable.path or "mlp" in variable.path)
    }
    assert by_muon == kernels


def test_numbers_too_small_to_matter_are_zero_where_the_backend_asks_for_it():
    if keras.backend.backend() != "torch":
        assert not flush_denormals()
        return
    import torch

    try:
        assert flush_denormals()
        assert (torch.tensor([1e-39]) * 1.0).item() == 0.0
    finally:
        torch.set_flush_denormal(False)
