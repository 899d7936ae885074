"""Scenes, stores and batches."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recipes.sam_tiny_synthetic.batches import Batches, BatchOptions, jitter, stream_batches
from recipes.sam_tiny_synthetic.canvas import Canvas
from recipes.sam_tiny_synthetic.photo_textures import photo_texture
from recipes.sam_tiny_synthetic.regions import cut_picture, draw_regions
from recipes.sam_tiny_synthetic.scene_store import SceneStore, build_store, write_shard
from recipes.sam_tiny_synthetic.scenes import MAX_MASKS, MAX_SHARE, MIN_SHARE, Scene, draw_scene


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("scenes")
    build_store(path, count=4, seed=2, size=64, workers=1)
    return str(path)


def options(store_path: str, **changes) -> BatchOptions:
    settings = {"stores": (store_path,), "weights": (1.0,), "image_size": 32, "low_res_size": 16}
    return BatchOptions(**(settings | {"images": 2, "prompts": 3} | changes))


def test_a_scene_is_the_same_for_the_same_seed():
    first, again, other = draw_scene(5, 64), draw_scene(5, 64), draw_scene(6, 64)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.bits, again.bits)
    assert not np.array_equal(first.image, other.image)


def test_masks_have_the_promised_sizes():
    for seed in range(6):
        scene = draw_scene(seed, 64)
        masks = scene.masks()
        assert scene.image.shape == (64, 64, 3)
        assert scene.image.dtype == np.uint8
        assert len(masks) == scene.count <= MAX_MASKS
        shares = masks.mean((1, 2))
        assert (shares > MIN_SHARE).all()
        assert (shares < MAX_SHARE).all()


def test_scenes_hold_parts_within_objects():
    nested = 0
    for seed in range(12):
        masks = draw_scene(seed, 64).masks()
        inside = (masks[:, None] & masks[None]).sum((2, 3)) == masks.sum((1, 2))[:, None]
        nested += int(inside.sum()) - len(masks)
    assert nested > 12


def test_regions_leave_no_gap():
    for seed in range(5):
        canvas = Canvas(64)
        draw_regions(canvas, np.random.default_rng(seed))
        masks = np.stack(canvas.masks)
        assert masks.any(0).all()
        assert len(masks) > 2


def test_cuts_number_the_regions_and_keep_wholes():
    rng = np.random.default_rng(1)
    label, wholes = cut_picture(64, 9, rng)
    assert len(np.unique(label)) > 5
    assert label.max() == 9
    assert wholes
    # A region that was cut is more than one of the last regions.
    assert any(len(np.unique(label[whole])) > 1 for whole in wholes)


def test_photo_textures_have_grain_and_about_their_color():
    color = np.array([0.2, 0.6, 0.4], np.float32)
    surfaces = [photo_texture(48, np.random.default_rng(seed), color) for seed in range(12)]
    assert all(surface.shape == (48, 48, 3) for surface in surfaces)
    assert all(surface.std() > 0.001 for surface in surfaces)
    close = [np.abs(surface.mean((0, 1)) - color).max() < 0.1 for surface in surfaces]
    assert 3 <= sum(close) < 12  # others keep the photograph's colors


def test_jitter_changes_colors_and_no_shapes():
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:5, 3:6] = (200, 120, 90)
    changed = jitter(image, np.random.default_rng(0))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, image)
    assert len(np.unique(changed.reshape(-1, 3), axis=0)) == 2


def test_a_store_keeps_finished_shards(store_path):
    store = SceneStore.open(store_path)
    assert len(store) == 4
    np.testing.assert_array_equal(store[1].image, draw_scene(2_000_001, 64).image)
    again = build_store(store_path, count=4, seed=3, size=64, workers=1)
    np.testing.assert_array_equal(again[1].image, store[1].image)


def test_an_empty_directory_is_no_store(tmp_path):
    with pytest.raises(ValueError, match="no scenes"):
        SceneStore.open(tmp_path)


def test_a_batch_holds_images_and_masks_that_are_there(store_path):
    x, y = Batches(options(store_path))[7]
    assert x["images"].shape == (2, 32, 32, 3)
    assert x["images"].dtype == np.float32
    assert 0 <= x["images"].min() < x["images"].max() <= 1
    assert y["masks"].shape == (2, 3, 16, 16)
    assert set(np.unique(y["masks"])) == {0, 1}


def test_batches_come_from_each_store_by_its_weight(store_path, tmp_path):
    white = Scene(np.full((64, 64, 3), 255, np.uint8), np.zeros((64, 64), np.uint32), 1)
    white.bits[:32, :32] = 1
    write_shard(tmp_path, 0, [white])
    both = options(
        store_path,
        stores=(store_path, str(tmp_path)),
        weights=(0.5, 0.5),
        min_shares=(0.01, 0.01),
        min_crops=(0.5, 0.5),
    )
    crops = np.concatenate([Batches(both)[step][0]["images"] for step in range(8)])
    assert 3 < (crops[:, :10, :10].min((1, 2, 3)) == 1).sum() < 13  # of 16
    # A store whose masks are all too small for it is passed over.
    small = replace(both, min_shares=(0.01, 0.9))
    crops = np.concatenate([Batches(small)[step][0]["images"] for step in range(4)])
    assert (crops[:, :10, :10].min((1, 2, 3)) < 1).all()


def test_worker_processes_make_the_same_batches(store_path):
    there = list(stream_batches(options(store_path), start=3, stop=6, workers=1))
    here = list(stream_batches(options(store_path), start=3, stop=6, workers=0))
    assert len(there) == len(here) == 3
    for (x, y), (x2, y2) in zip(there, here, strict=True):
        np.testing.assert_array_equal(x["images"], x2["images"])
        np.testing.assert_array_equal(y["masks"], y2["masks"])


KILLED_RUN = """
import multiprocessing, os, signal, sys
from recipes.sam_tiny_synthetic.batches import BatchOptions, stream_batches

if __name__ == "__main__":
    options = BatchOptions((sys.argv[1],), (1.0,), image_size=32, low_res_size=16, images=1)
    batches = stream_batches(options, start=0, stop=9, workers=1)
    next(batches)
    print(multiprocessing.active_children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_run(store_path, tmp_path):
    script = tmp_path / "killed_run.py"
    script.write_text(KILLED_RUN)
    run = subprocess.run(
        [sys.executable, script, store_path], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    worker = Path("/proc", run.stdout.strip())
    deadline = time.monotonic() + 30
    while worker.exists() and "Z" not in (worker / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the worker is still there"
        time.sleep(0.1)
