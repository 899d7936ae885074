import queue

import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.worker import WorkerSettings
from keras_sam.batch.worker_thread import ImageQueue, WorkerThread
from tests.batch.fake_workers import FragileWorker


@pytest.fixture
def run(fake_workers, tmp_path):
    """A function that processes images in a worker that some of them kill."""

    def run(images, *, max_in_flight):
        results = queue.Queue()
        worker = FragileWorker(
            WorkerSettings(BatchSettings()), log=tmp_path / "log", environment={}
        )
        thread = WorkerThread(worker, ImageQueue(images), results, max_in_flight=max_in_flight)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        *received, end = results.queue
        assert end is None
        return thread, {result.image_id: result.error for result in received}

    return run


def batch(images, *names):
    return [BatchImage(name, str(images / "00.png")) for name in names]


@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_every_image_has_one_result(run, images, max_in_flight):
    thread, errors = run(batch(images, *"abcdef"), max_in_flight=max_in_flight)
    assert errors == dict.fromkeys("abcdef")
    assert thread.error is None


@pytest.mark.parametrize("max_in_flight", [1, 3, 10])
def test_image_that_kills_workers_is_an_error_and_others_are_not(run, images, max_in_flight):
    names = ["a", "b", "killer 1", "c", "d", "e", "killer 2"]
    thread, errors = run(batch(images, *names), max_in_flight=max_in_flight)
    assert thread.error is None
    assert set(errors) == set(names)
    killers = {name for name, error in errors.items() if error is not None}
    assert killers == {"killer 1", "killer 2"}
    assert errors["killer 1"].error_type == "WorkerDiedError"
    assert "ended by signal 11" in errors["killer 1"].message


def test_worker_that_dies_repeatedly_ends_the_thread(run, images):
    names = [f"killer {index}" for index in range(12)]
    thread, errors = run(batch(images, *names), max_in_flight=2)
    assert "died 6 times without completing an image" in str(thread.error)
    assert len(errors) < 12


def test_image_queue_is_emptied_in_order(images):
    image_queue = ImageQueue(batch(images, "a", "b"))
    assert [image_queue.take().id for _ in range(2)] == ["a", "b"]
    assert image_queue.take() is None
