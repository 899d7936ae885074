import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.worker import WorkerSettings
from keras_sam.batch.worker_process import WorkerProcess
from keras_sam.errors import WorkerDiedError
from tests.batch.fake_workers import startup_environment
from tests.batch.sample_results import PROVENANCE


@pytest.fixture
def worker(tmp_path):
    settings = WorkerSettings(BatchSettings())
    worker = WorkerProcess(settings, log=tmp_path / "log", environment=startup_environment())
    yield worker
    worker.stop()


def test_process_returns_results_until_it_is_killed(worker, images):
    image = BatchImage("a", str(images / "00.png"))
    with pytest.raises(RuntimeError, match="call start first"):
        worker.send(image)
    worker.start()
    assert worker.provenance == PROVENANCE
    worker.send(image)
    result = worker.receive()
    assert (result.image_id, len(result.masks), result.error) == ("a", 3, None)
    worker.kill()
    with pytest.raises(WorkerDiedError, match=r"ended by signal 9; its output is in .*log"):
        worker.receive()
    assert worker.pid is None


def test_process_can_be_started_again(worker, images):
    for name in ("00.png", "02.png"):
        worker.start()
        worker.send(BatchImage(name, str(images / name)))
        assert worker.receive().image_id == name
        worker.stop()
        assert worker.pid is None


def test_model_that_cannot_be_loaded_raises(tmp_path):
    settings = WorkerSettings(BatchSettings(preset="missing"))
    worker = WorkerProcess(settings, log=tmp_path / "log", environment=startup_environment())
    with pytest.raises(RuntimeError, match="could not be loaded: ValueError: there is no preset"):
        worker.start()
    assert worker.pid is None


def test_process_that_ends_at_the_start_raises(tmp_path):
    environment = {"PYTHONHOME": str(tmp_path)}  # no interpreter starts with it
    settings = WorkerSettings(BatchSettings())
    worker = WorkerProcess(settings, log=tmp_path / "log", environment=environment)
    with pytest.raises(WorkerDiedError, match="ended with code 1"):
        worker.start()
    assert "PYTHONHOME" in (tmp_path / "log").read_text()
