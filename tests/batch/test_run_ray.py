import logging
import shutil
import signal
import subprocess
import sys
import time

import pytest
import ray

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.run_ray import RayOptions
from keras_sam.batch.table_parts import part_files
from tests.batch.fake_workers import startup_environment

pytestmark = [
    pytest.mark.filterwarnings("ignore:::ray"),  # Ray uses its own deprecated options
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray leaves files and sockets open
]

DRIVER = """
import sys
from keras_sam.batch.run_batch import run_batch
from tests.batch.test_run_ray import FakeOptions
source, output, address = sys.argv[1:]
run_batch(source, output, options=FakeOptions(address, images_per_call=1, images_per_part=1))
"""


class FakeOptions(RayOptions):
    """Options of actors that load no model."""

    def environment(self):
        return super().environment() | startup_environment()


@pytest.fixture(scope="module")
def address():
    """The address of a cluster of this machine, to which this process is connected."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


@pytest.fixture
def source(images, tmp_path):
    """A folder of six images."""
    folder = tmp_path / "source"
    folder.mkdir()
    for index in range(6):
        shutil.copy(images / f"{2 * index:02d}.png", folder / f"{index}.png")
    return folder


def test_options_out_of_range_raise():
    with pytest.raises(ValueError, match="images_per_part must be 1 or more, got 0"):
        RayOptions(images_per_part=0)
    with pytest.raises(ValueError, match="gpus_per_worker must be 0 or more, got -1"):
        RayOptions(gpus_per_worker=-1)


def test_environment_has_threads_and_the_backend_of_this_machine(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    environment = RayOptions(threads_per_worker=3).environment()
    assert (environment["OMP_NUM_THREADS"], environment["KERAS_BACKEND"]) == ("3", "jax")
    assert RayOptions(backend="torch").environment()["KERAS_BACKEND"] == "torch"


def test_table_is_that_of_a_local_run(
    address, images, settings, read_table, uninterrupted, tmp_path
):
    summary = run_batch(images, tmp_path, settings, options=RayOptions(images_per_part=5))
    assert (summary.completed, summary.errors, summary.is_complete) == (12, 0, True)
    assert read_table(tmp_path) == uninterrupted
    assert len(part_files(tmp_path)) == 3


def test_killed_actor_is_replaced(address, fake_workers, source, read_table, tmp_path):
    (source / "3.png").rename(source / "3_kill_once.png")
    (source / "4.png").write_text("not an image")
    options = FakeOptions(images_per_call=1, images_per_part=1)
    summary = run_batch(source, tmp_path / "ray", options=options)
    assert (source / "3_kill_once.png.killed").exists()
    assert (summary.completed, summary.errors, summary.is_complete) == (6, 1, True)
    run_batch(source, tmp_path / "local")
    assert read_table(tmp_path / "ray") == read_table(tmp_path / "local")


def test_run_of_a_killed_driver_is_resumed(address, fake_workers, source, read_table, tmp_path):
    (source / "3.png").rename(source / "3_wait.png")
    output = tmp_path / "ray"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(source), str(output), address])
    while driver.poll() is None and not part_files(output):
        time.sleep(0.05)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    (source / "3_wait.png.go").touch()
    completed = len(part_files(output))
    summary = run_batch(source, output, options=FakeOptions(images_per_part=2))
    assert (summary.completed_before, summary.completed) == (completed, 6 - completed)
    run_batch(source, tmp_path / "local")
    assert read_table(output) == read_table(tmp_path / "local")
    assert not (output / "_staging").exists()


def test_model_that_cannot_be_loaded_raises(address, images, tmp_path):
    settings = BatchSettings(preset="missing")
    with pytest.raises(RuntimeError, match=r"Ray failed: .*there is no preset missing"):
        run_batch(images, tmp_path, settings, options=FakeOptions())
