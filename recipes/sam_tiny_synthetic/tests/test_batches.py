"""Training batches."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.batches import (
    Batches,
    BatchOptions,
    DatasetOptions,
    jitter_colors,
    stream_batches,
)
from recipes.sam_tiny_synthetic.scene_dataset import build_scene_dataset, write_shard
from recipes.sam_tiny_synthetic.scenes.scene import Scene


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> BatchOptions:
    """Options of batches from four small scenes."""
    path = tmp_path_factory.mktemp("scenes")
    build_scene_dataset(path, count=4, seed=2, size=64)
    return BatchOptions(
        (DatasetOptions(str(path)),),
        image_size=32,
        low_res_size=16,
        batch_size=2,
        masks_per_image=3,
    )


def test_batches_have_images_and_masks(options):
    x, y = Batches(options)[7]
    assert x["images"].shape == (2, 32, 32, 3)
    assert x["images"].dtype == np.float32
    assert 0 <= x["images"].min() < x["images"].max() <= 1
    assert y["masks"].shape == (2, 3, 16, 16)
    assert set(np.unique(y["masks"])) == {0, 1}
    assert y["masks"].any((2, 3)).all()


def test_images_come_from_each_dataset_by_its_weight(options, tmp_path):
    white = Scene(np.full((64, 64, 3), 255, np.uint8), np.zeros((64, 64), np.uint32), 1)
    white.mask_bits[:32, :32] = 1
    write_shard(tmp_path, 0, [white])
    drawn = replace(options.datasets[0], weight=0.5)
    whites = DatasetOptions(str(tmp_path), weight=0.5, min_mask_area=0.01)

    def is_white(dataset: DatasetOptions, steps: int) -> np.ndarray:
        batches = Batches(replace(options, datasets=(drawn, dataset)))
        images = np.concatenate([batches[step][0]["images"] for step in range(steps)])
        return images[:, :10, :10].min((1, 2, 3)) == 1

    assert 3 < is_white(whites, 8).sum() < 13  # of 16
    # A dataset without usable masks is skipped.
    assert not is_white(replace(whites, min_mask_area=0.9), 4).any()


def test_area_sampling_prefers_large_masks(options, tmp_path):
    scene = Scene(np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), np.uint32), 2)
    scene.mask_bits[:, 48:] = 0
    scene.mask_bits[24:34, 24:34] |= 2  # inside the first mask
    write_shard(tmp_path, 0, [scene])
    dataset = DatasetOptions(str(tmp_path), min_crop_scale=0.99)

    def mean_area(exponent: float) -> float:
        changes = {"datasets": (dataset,), "masks_per_image": 40}
        batches = Batches(replace(options, **changes, area_sampling_exponent=exponent))
        return float(np.mean([batches[step][1]["masks"].mean() for step in range(4)]))

    assert mean_area(1.0) > 1.4 * mean_area(0.0)


def test_jitter_changes_colors_and_no_shapes():
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:5, 3:6] = (200, 120, 90)
    changed = jitter_colors(image, np.random.default_rng(0))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, image)
    assert len(np.unique(changed.reshape(-1, 3), axis=0)) == 2


def test_worker_processes_make_the_same_batches(options):
    by_worker = list(stream_batches(options, start=3, stop=6, num_workers=1))
    expected = list(stream_batches(options, start=3, stop=6, num_workers=0))
    assert len(by_worker) == len(expected) == 3
    for (x, y), (expected_x, expected_y) in zip(by_worker, expected, strict=True):
        np.testing.assert_array_equal(x["images"], expected_x["images"])
        np.testing.assert_array_equal(y["masks"], expected_y["masks"])


KILLED_RUN = """
import multiprocessing, os, signal, sys
from recipes.sam_tiny_synthetic.batches import BatchOptions, DatasetOptions, stream_batches

if __name__ == "__main__":
    datasets = (DatasetOptions(sys.argv[1]),)
    options = BatchOptions(datasets, image_size=32, low_res_size=16, batch_size=1)
    batches = stream_batches(options, start=0, stop=9, num_workers=1)
    next(batches)
    print(multiprocessing.active_children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_when_their_parent_is_killed(options, tmp_path):
    script = tmp_path / "killed_run.py"
    script.write_text(KILLED_RUN)
    run = subprocess.run(
        [sys.executable, script, options.datasets[0].directory],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    worker = Path("/proc", run.stdout.strip())
    deadline = time.monotonic() + 30
    while worker.exists() and "Z" not in (worker / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the worker is still running"
        time.sleep(0.1)
