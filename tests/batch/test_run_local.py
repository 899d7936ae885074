import os
from contextlib import closing
from pathlib import Path

import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.run_local import LocalOptions, run_local
from tests.batch.fake_workers import FragileWorker, startup_environment


def all_images(images):
    return [BatchImage(path.name, str(path)) for path in images.rglob("*.png")]


@pytest.mark.parametrize(
    "name", ["workers", "threads_per_worker", "decode_threads", "model_threads"]
)
def test_options_below_1_raise(name):
    with pytest.raises(ValueError, match=f"{name} must be 1 or more, got 0"):
        LocalOptions(**{name: 0})


def test_threads_divide_the_cores_between_workers():
    assert "OMP_NUM_THREADS" not in LocalOptions().environment()
    threads = LocalOptions(workers=2).environment()["OMP_NUM_THREADS"]
    assert int(threads) == max(1, os.cpu_count() // 2)
    options = LocalOptions(workers=2, threads_per_worker=3, backend="jax")
    environment = options.environment()
    assert (environment["OMP_NUM_THREADS"], environment["KERAS_BACKEND"]) == ("3", "jax")


def test_max_in_flight_grows_with_threads():
    assert LocalOptions().max_in_flight == 4
    assert LocalOptions(decode_threads=5, model_threads=2).max_in_flight == 9


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_every_image_has_one_result(fake_workers, images, tmp_path, workers):
    options = LocalOptions(workers=workers)
    batches = run_local(all_images(images), BatchSettings(), options, logs=tmp_path / "logs")
    ids = [result.image_id for batch in batches for result in batch]
    assert sorted(ids) == sorted(path.name for path in images.rglob("*.png"))


def test_generator_can_be_closed_early(fake_workers, images, tmp_path):
    many = [BatchImage(str(index), str(images / "00.png")) for index in range(1000)]
    with closing(
        run_local(many, BatchSettings(), LocalOptions(workers=2), logs=tmp_path)
    ) as batches:
        assert next(batch for batch in batches if batch)


def test_workers_that_die_repeatedly_end_the_run(fake_workers, images, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_sam.batch.run_local.WorkerProcess", FragileWorker)
    killers = [BatchImage(f"killer {index}", str(images / "00.png")) for index in range(12)]
    with pytest.raises(RuntimeError, match="without completing an image"):
        list(run_local(killers, BatchSettings(), LocalOptions(), logs=tmp_path))


class FakeOptions(LocalOptions):
    """Options of processes that load no model."""

    def environment(self):
        return super().environment() | startup_environment()


def test_killed_worker_is_replaced(images, tmp_path):
    killer = tmp_path / "kill_once.png"
    killer.write_bytes((images / "00.png").read_bytes())
    batch_images = [*all_images(images), BatchImage("kill_once", str(killer))]
    batches = run_local(batch_images, BatchSettings(), FakeOptions(), logs=tmp_path)
    results = [result for batch in batches for result in batch]
    assert sorted(result.image_id for result in results) == sorted(i.id for i in batch_images)
    assert {result.error for result in results} == {None}
    assert Path(f"{killer}.killed").exists()
