"""Fine-tuning from a folder of labeled images to a preset."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from keras_sam.annotations.open_dataset import open_dataset
from keras_sam.models.sam_image_segmenter import SAMImageSegmenter
from keras_sam.train.finetune import finetune
from keras_sam.train.finetune_config import METRICS, FinetuneConfig
from keras_sam.transforms.mask_refiner import MaskRefiner

pytestmark = pytest.mark.training

CONFIG = FinetuneConfig(
    epochs=2,
    learning_rate=1e-3,
    batch_size=2,
    masks_per_image=2,
    views=2,
    val=0.25,
    test=0.25,
    refit_images=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight images of a bright rectangle each, with their masks."""
    folder = tmp_path_factory.mktemp("dataset")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    random = np.random.default_rng(0)
    for index in range(8):
        image = random.integers(0, 60, (40, 56, 3), dtype=np.uint8)
        mask = np.zeros((40, 56), np.uint8)
        top, left = random.integers(2, 15, 2)
        mask[top : top + 18, left : left + 25] = 255
        image[mask > 0] += 150
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def preset(tiny_segmenter, tmp_path_factory):
    segmenter = tiny_segmenter(0)
    refiner = MaskRefiner(boundary_refinement="guided_filter")
    segmenter.inference_config = dataclasses.replace(
        segmenter.inference_config, mask_refiner=refiner
    )
    directory = tmp_path_factory.mktemp("preset") / "tiny"
    segmenter.save_to_preset(directory)
    return directory


def run(folder, preset, output, **changes):
    messages = []
    config = dataclasses.replace(CONFIG, **changes)
    result = finetune(open_dataset(folder), preset, output, config, log=messages.append)
    return result, messages


@pytest.fixture(scope="module")
def finished(folder, preset, tmp_path_factory):
    """Output, result and messages of a completed run."""
    output = tmp_path_factory.mktemp("finished") / "run"
    return output, *run(folder, preset, output, refit_images=1)


def test_a_run_writes_a_preset_that_is_not_worse_in_validation(finished, preset):
    output, result, messages = finished
    assert "4 images for training, 2 for validation, 2 for the test" in messages[0]
    assert [logs["epoch"] for logs in result.logs] == [1, 2]
    assert set(result.before) == set(result.after) == set(METRICS)
    loaded = SAMImageSegmenter.from_preset(result.preset)
    assert loaded.inference_config.to_dict() == result.inference_config
    content = json.loads((output / "result.json").read_text())
    assert content["after"] == result.after
    assert content["config"]["part"] == "decoder"
    assert "<html" in (output / "report.html").read_text()
    with open(output / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [logs["loss"] for logs in result.logs]
    assert all(f"val_{name}" in rows[0] for name in (*METRICS, "calibration_error"))
    original = SAMImageSegmenter.from_preset(preset)
    for ours, theirs in zip(
        loaded.backbone.image_encoder.weights, original.backbone.image_encoder.weights, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_all_weights_with_one_kind_of_prompts_within_memory(folder, preset, tmp_path):
    options = {"part": "all", "prompts": "boxes", "memory": "8GB", "epochs": 1}
    result, messages = run(folder, preset, tmp_path / "run", **options)
    assert any(message.startswith("memory plan: 2 x 2 masks") for message in messages)
    assert np.isfinite(result.logs[0]["loss"])
    epoch_lines = [message for message in messages if message.startswith("epoch 1/1: loss ")]
    assert "box_iou" in epoch_lines[0]
    assert "point_iou" not in epoch_lines[0]
    assert set(result.after) == set(METRICS)
    assert SAMImageSegmenter.from_preset(result.preset).count_params() > 0
    assert not (tmp_path / "run" / "embeddings").exists()


def test_another_image_size_is_that_of_the_new_preset(folder, preset, tmp_path):
    size = 2 * SAMImageSegmenter.from_preset(preset).backbone.image_shape[0]
    result, _ = run(folder, preset, tmp_path / "run", image_size=size, epochs=1)
    assert SAMImageSegmenter.from_preset(result.preset).backbone.image_shape == (size, size, 3)
    same_size, _ = run(folder, preset, tmp_path / "other", epochs=1)
    assert result.before == same_size.before  # the preset at its own size


def test_a_budget_that_is_too_small_raises(folder, preset, tmp_path):
    with pytest.raises(ValueError, match=r"needs at least .*; the budget is 100 MB"):
        run(folder, preset, tmp_path / "run", memory="100MB")


def test_a_repeated_call_resumes_and_gives_the_same_result(finished, folder, preset, tmp_path):
    run(folder, preset, tmp_path / "run", epochs=1)
    found, messages = run(folder, preset, tmp_path / "run")
    assert "resuming after epoch 1" in messages
    for logs, other in zip(found.logs, finished[1].logs, strict=True):
        # Rounding depends on where arrays lie in memory, and a random model amplifies it.
        assert logs == pytest.approx(other, rel=1e-3)


def test_other_settings_in_the_same_directory_raise(finished, folder, preset):
    with pytest.raises(ValueError, match=r"other settings \(learning_rate\)"):
        run(folder, preset, finished[0], learning_rate=1e-4)


def test_unknown_prompts_raise():
    with pytest.raises(ValueError, match="prompts must be one of any, points, boxes, got 'masks'"):
        FinetuneConfig(prompts="masks")
