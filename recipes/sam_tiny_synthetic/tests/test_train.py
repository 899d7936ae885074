"""Training runs, their phases, and how they resume."""

import json
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from keras_sam.models import SAMBackbone
from recipes.sam_tiny_synthetic import train as train_module
from recipes.sam_tiny_synthetic.run_directory import RunDirectory
from recipes.sam_tiny_synthetic.scene_dataset import build_scene_dataset
from recipes.sam_tiny_synthetic.train import build_batch_options, default_num_workers, train
from recipes.sam_tiny_synthetic.training_config import Phase, TrainingConfig
from tests.tiny_model import tiny_model

PHASE = Phase(image_size=32, steps=2, batch_size=1, masks_per_image=2, loss="affinity")
CONFIG = TrainingConfig(
    phases=(replace(PHASE, image_size=64), PHASE),
    image_size=48,
    num_scenes=2,
    num_workers=0,
    save_every=1,
)


def read_log(output) -> list[dict]:
    """The lines of a run's log, without their times."""
    lines = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [{name: line[name] for name in line if name != "seconds"} for line in lines]


def arrays(model) -> list[np.ndarray]:
    return [ops.convert_to_numpy(weight) for weight in model.weights]


@pytest.fixture(autouse=True)
def small_model(monkeypatch) -> None:
    """Replaces the preset's architecture by a small one."""

    def build_segmenter(image_size: int, *, dtype=None):
        return tiny_model().with_image_shape((image_size, image_size, 3), dtype=dtype)

    monkeypatch.setattr(train_module, "build_segmenter", build_segmenter)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes that all runs share."""
    path = tmp_path_factory.mktemp("scenes")
    build_scene_dataset(path, count=CONFIG.num_scenes, seed=CONFIG.seed)
    return path


@pytest.fixture
def new_run(scenes, tmp_path):
    """A function that creates a run directory with the shared scenes."""

    def create(name: str):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scenes").symlink_to(scenes)
        return tmp_path / name

    return create


class StopError(Exception):
    pass


def stop_in_the_second_phase(line):
    """Raises after the last step and before its checkpoint."""
    if line["phase"] == 1:
        raise StopError


def test_a_stopped_run_resumes(new_run):
    whole, stopped = new_run("whole"), new_run("stopped")
    expected = train(CONFIG, whole)
    with pytest.raises(StopError):
        train(CONFIG, stopped, progress=stop_in_the_second_phase)
    resumed = train(CONFIG, stopped)
    for array, expected_array in zip(arrays(resumed), arrays(expected), strict=True):
        np.testing.assert_allclose(array, expected_array, atol=1e-6)
    assert [line["phase"] for line in read_log(whole)] == [0, 1]
    for line, expected_line in zip(read_log(stopped), read_log(whole), strict=True):
        assert line == pytest.approx(expected_line, abs=1e-3)
    # The preset has its own image size and settings.
    preset = SAMBackbone.from_preset(whole / "preset")
    assert preset.image_shape == (48, 48, 3)
    settings = preset.inference_config
    assert settings.mask_thresholds.pred_iou_thresh == CONFIG.pred_iou_thresh
    assert settings.mask_refiner.box_constraint == CONFIG.box_constraint
    with pytest.raises(ValueError, match="other settings"):
        train(TrainingConfig(num_scenes=3), whole)


def test_a_run_starts_from_a_preset_and_a_later_phase(new_run):
    first = new_run("first")
    config = replace(CONFIG, image_size=32)
    before = train(replace(config, phases=(PHASE,)), first)
    frozen = replace(PHASE, learning_rate=0.0)
    later = replace(config, phases=(PHASE, frozen), init_from=str(first / "preset"), start_phase=1)
    second = new_run("second")
    after = train(later, second)
    for array, expected in zip(arrays(after), arrays(before), strict=True):
        np.testing.assert_allclose(array, expected)
    assert [line["phase"] for line in read_log(second)] == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phases": ()}, "at least one phase"),
        ({"start_phase": 2}, "start_phase=2"),
        ({"dtype": "float33"}, "float33"),
        ({"dataset": "nowhere"}, "nowhere"),
        ({"init_from": "nowhere"}, "nowhere"),
    ],
)
def test_unusable_settings_raise_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train(replace(CONFIG, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few_annotated_images_raise_before_anything_is_written(tmp_path):
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(ValueError, match="got 80"):
        train(replace(CONFIG, dataset=str(tmp_path)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_phase_ends_with_the_moving_average_of_its_weights(new_run):
    phase = replace(PHASE, ema_decay=0.75)
    config = replace(CONFIG, phases=(phase,), image_size=PHASE.image_size)
    output, checkpoints = new_run("run"), []

    def read_checkpoint(line=None):
        with np.load(output / "phase0.npz") as checkpoint:
            checkpoints.append(dict(checkpoint))

    # Progress comes before the checkpoint of its step.
    final = train(config, output, progress=read_checkpoint)
    read_checkpoint()
    first, second = checkpoints
    assert (first["step"], second["step"]) == (1, 2)
    averages = [0.75 * first[name] + 0.25 * second[name] for name in first if name != "step"]
    for array in map(ops.convert_to_numpy, final.trainable_weights):
        assert any(
            array.shape == average.shape and np.allclose(array, average, atol=1e-6)
            for average in averages
        )


def test_the_preset_is_the_weighted_mean_of_phases(new_run):
    config = replace(CONFIG, image_size=32)
    one, half = replace(PHASE, swa_weight=1.0), replace(PHASE, swa_weight=0.5)
    constant = replace(one, steps=1, learning_rate=1e-9, init_from_swa=True)
    runs = {"first": (one, PHASE), "second": (PHASE, half), "mean": (one, half, constant)}
    first, second, mean = (
        arrays(train(replace(config, phases=phases), new_run(name)))
        for name, phases in runs.items()
    )
    assert max(np.abs(a - b).max() for a, b in zip(first, second, strict=True)) > 1e-3
    for array, a, b in zip(mean, first, second, strict=True):
        np.testing.assert_allclose(array, (a + b / 2) / 1.5, atol=1e-6)


def test_annotated_images_have_their_own_crops(tmp_path):
    phase = replace(PHASE, annotated_share=0.25, min_crop_scale=0.2, min_annotated_crop_scale=0.3)
    config = replace(CONFIG, phases=(phase,), dataset="nuclei")
    run = RunDirectory(tmp_path)
    mixed = build_batch_options(config, 0, run, 8).datasets
    assert [(d.weight, d.min_crop_scale) for d in mixed] == [(0.75, 0.2), (0.25, 0.3)]
    alone = build_batch_options(replace(config, dataset=None), 0, run, 8).datasets
    assert [(d.weight, d.min_crop_scale) for d in alone] == [(1.0, 0.2)]


def test_a_cpu_needs_one_worker():
    assert default_num_workers(tiny_model()) == 1
