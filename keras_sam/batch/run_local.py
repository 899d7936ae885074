"""`run_local`: a batch on this machine, in worker processes."""

import os
import queue
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.worker import WorkerSettings
from keras_sam.batch.worker_environment import worker_environment
from keras_sam.batch.worker_process import WorkerProcess
from keras_sam.batch.worker_thread import ImageQueue, ResultQueue, WorkerThread

POLL_SECONDS = 0.2
QUEUED_RESULTS_PER_WORKER = 64


@dataclass(frozen=True)
class LocalOptions:
    """Use of this machine. The masks do not depend on it.

    Attributes:
        workers: Number of processes, each with its own model.
        threads_per_worker: Number of compute threads of each worker. `None` divides the CPU cores
            between the workers.
        decode_threads: Number of threads of each worker that decode files.
        model_threads: Number of threads of each worker that share its model.
        backend: Keras backend of the workers. Defaults to `KERAS_BACKEND`.
        part_limits: Maximum size and age of a part of the table.

    Raises:
        ValueError: If a number is below 1.
    """

    workers: int = 1
    threads_per_worker: int | None = None
    decode_threads: int = 2
    model_threads: int = 1
    backend: str | None = None
    part_limits: PartLimits = field(default_factory=PartLimits)

    def __post_init__(self) -> None:
        for name in ("workers", "threads_per_worker", "decode_threads", "model_threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")

    @property
    def max_in_flight(self) -> int:
        """Maximum number of images that a worker has in memory."""
        return self.decode_threads + 2 * self.model_threads

    def environment(self) -> dict[str, str]:
        """Return the environment variables of the workers."""
        threads = self.threads_per_worker
        if threads is None and self.workers > 1:
            threads = max(1, (os.cpu_count() or 1) // self.workers)
        return worker_environment(threads=threads, backend=self.backend)


def run_local(
    images: Sequence[BatchImage], settings: BatchSettings, options: LocalOptions, *, logs: Path
) -> Generator[list[ImageResult]]:
    """Process images, and yield new results several times a second.

    If a worker dies, each image that it had is retried alone. If the worker dies again, the
    image gets an error. Closing the generator ends the workers.

    Args:
        images: Images to process.
        settings: Options of the batch.
        options: Use of this machine.
        logs: Folder for the output of the workers.

    Yields:
        Results in the order of completion. May be empty.

    Raises:
        RuntimeError: If a model cannot be loaded, or workers die repeatedly.
    """
    logs.mkdir(parents=True, exist_ok=True)
    image_queue = ImageQueue(images)
    results: ResultQueue = queue.Queue(maxsize=QUEUED_RESULTS_PER_WORKER * options.workers)
    threads = [
        WorkerThread(
            WorkerProcess(
                WorkerSettings(settings, options.decode_threads, options.model_threads),
                log=logs / f"worker-{index}.log",
                environment=options.environment(),
            ),
            image_queue,
            results,
            max_in_flight=options.max_in_flight,
        )
        for index in range(min(options.workers, len(images)))
    ]
    for thread in threads:
        thread.start()
    try:
        yield from _collect(threads, results)
    finally:
        for thread in threads:
            thread.end()
        while any(thread.is_alive() for thread in threads):
            list(_drain(results))  # a thread may be waiting for space in the queue
            for thread in threads:
                thread.join(POLL_SECONDS)


def _collect(threads: list[WorkerThread], results: ResultQueue) -> Iterator[list[ImageResult]]:
    """Yield new results until all threads have ended."""
    running = len(threads)
    while running:
        received = list(_drain(results, wait=POLL_SECONDS))
        running -= received.count(None)
        yield [result for result in received if result is not None]
        for thread in threads:
            if thread.error is not None:
                raise thread.error


def _drain(results: ResultQueue, *, wait: float | None = None) -> Iterator[ImageResult | None]:
    """Yield everything in a queue. Wait for the first entry at most this number of seconds."""
    try:
        while True:
            yield results.get(block=wait is not None, timeout=wait)
            wait = None
    except queue.Empty:
        return
