import io
import pickle
import queue
import subprocess
import sys
import threading

import pytest

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ErrorInfo
from keras_sam.batch.worker import WorkerFailed, WorkerReady, WorkerSettings, work
from tests.batch.sample_results import PROVENANCE


def run(messages):
    """Return everything that a worker sends."""
    inputs, outputs = queue.Queue(), queue.Queue()
    for message in (*messages, None):
        inputs.put(message)
    work(inputs.get, outputs.put)
    return list(outputs.queue)


@pytest.mark.parametrize("threads", [1, 3])
def test_worker_sends_one_result_per_image(fake_workers, images, threads):
    paths = [*images.rglob("*.png"), images / "missing.png"]
    settings = WorkerSettings(BatchSettings(), decode_threads=threads, model_threads=threads)
    ready, *results = run([settings, *(BatchImage(path.name, str(path)) for path in paths)])
    assert ready == WorkerReady(PROVENANCE)
    assert sorted(result.image_id for result in results) == sorted(path.name for path in paths)
    errors = {result.image_id: result.error for result in results if result.error}
    assert {name: error.error_type for name, error in errors.items()} == {
        "missing.png": "FileNotFoundError"
    }


def test_max_pixels_of_the_settings_applies(fake_workers, images):
    settings = WorkerSettings(BatchSettings(max_pixels=100))
    _, result = run([settings, BatchImage("a", str(images / "00.png"))])
    assert result.error.error_type == "TooManyPixelsError"


def test_worker_without_a_model_reports_the_error(monkeypatch, fake_workers):
    def fail(settings, count):
        raise MemoryError("the model is too large")

    module = sys.modules["keras_sam.batch.load_processors"]
    monkeypatch.setattr(module, "load_processors", fail)
    assert run([WorkerSettings(BatchSettings())]) == [
        WorkerFailed(ErrorInfo("MemoryError", "the model is too large"))
    ]


def test_result_is_sent_before_the_next_image_arrives(fake_workers, images):
    inputs, outputs = queue.Queue(), queue.Queue()
    inputs.put(WorkerSettings(BatchSettings()))
    thread = threading.Thread(target=work, args=(inputs.get, outputs.put))
    thread.start()
    outputs.get(timeout=60)
    for name in ("00.png", "02.png"):
        inputs.put(BatchImage(name, str(images / name)))
        assert outputs.get(timeout=60).image_id == name
    inputs.put(None)
    thread.join(60)
    assert not thread.is_alive()


PRINTING_WORKER = """
import sys
from keras_sam.batch.worker import main
from tests.batch.fake_workers import FakeProcessor, fake_module

class PrintingProcessor(FakeProcessor):
    def process(self, decoded):
        print("printed by a library", flush=True)
        return super().process(decoded)

module = fake_module()
module.load_processors = lambda settings, count: [PrintingProcessor()]
sys.modules["keras_sam.batch.load_processors"] = module
main()
"""


def test_output_of_libraries_does_not_mix_with_messages(images):
    messages = [WorkerSettings(BatchSettings()), BatchImage("a", str(images / "00.png"))]
    done = subprocess.run(
        [sys.executable, "-c", PRINTING_WORKER],
        input=b"".join(map(pickle.dumps, messages)),
        capture_output=True,
        check=True,
    )
    assert b"printed by a library" in done.stderr
    stream = io.BytesIO(done.stdout)
    assert pickle.load(stream) == WorkerReady(PROVENANCE)
    assert pickle.load(stream).image_id == "a"
    assert stream.read() == b""
