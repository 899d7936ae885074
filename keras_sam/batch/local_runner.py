"""`run_local`: workers on this machine, and what became of each image."""

import os
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.image_result import ImageResult, failed_result
from keras_sam.batch.worker import WorkerSettings
from keras_sam.batch.worker_process import WorkerDiedError, WorkerProcess, thread_environment

POLL_SECONDS = 0.2
MOST_DEATHS = 5  # of a worker in a row, without an image done


@dataclass(frozen=True)
class LocalOptions:
    """How the work is shared out on this machine; the masks do not depend on it.

    Attributes:
        workers: processes, each with a model of its own.
        threads: of each worker, for computing; None shares out the processors.
        decode_threads: of each worker, that read files.
        model_threads: of each worker, that share its model.
        backend: of Keras in the workers; None leaves it to `KERAS_BACKEND`.
    """

    workers: int = 1
    threads: int | None = None
    decode_threads: int = 2
    model_threads: int = 1
    backend: str | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "decode_threads", "model_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be 1 or more, got {self.threads}")

    @property
    def window(self) -> int:
        """How many images a worker has at a time: these are what it holds in memory."""
        return self.decode_threads + 2 * self.model_threads

    def environment(self) -> dict[str, str]:
        """Variables of the workers."""
        variables = {"OMP_WAIT_POLICY": "PASSIVE"}  # idle threads that spin take a core
        threads = self.threads
        if threads is None and self.workers > 1:
            threads = max(1, (os.cpu_count() or 1) // self.workers)
        if threads is not None:
            variables |= thread_environment(threads)
        if self.backend is not None:
            variables["KERAS_BACKEND"] = self.backend
        return variables


def run_local(
    images: Sequence[BatchImage], settings: BatchSettings, options: LocalOptions, *, logs: Path
) -> Generator[list[ImageResult]]:
    """Yields results as they come, several times a second, perhaps none.

    An image whose worker dies is tried once more, by itself; if the worker dies again, that is
    the image's error. Closing the iterator ends the workers.

    Args:
        images: to be done.
        settings: of the batch.
        options: of this machine.
        logs: a folder for the workers' output.

    Raises:
        RuntimeError: if a model cannot be loaded, or workers keep dying.
    """
    logs.mkdir(parents=True, exist_ok=True)
    tasks = _Tasks(images)
    results: queue.Queue[ImageResult | None] = queue.Queue(maxsize=64 * options.workers)
    drivers = [
        WorkerThread(
            WorkerProcess(
                WorkerSettings(settings, options.decode_threads, options.model_threads),
                log=logs / f"worker-{index}.log",
                environment=options.environment(),
            ),
            tasks,
            results,
            window=options.window,
        )
        for index in range(min(options.workers, len(images)))
    ]
    for driver in drivers:
        driver.start()
    try:
        yield from _collect(drivers, results)
    finally:
        for driver in drivers:
            driver.end()
        while any(driver.is_alive() for driver in drivers):
            _drain(results)  # a driver may wait for room in it
            for driver in drivers:
                driver.join(POLL_SECONDS)


def _collect(
    drivers: "list[WorkerThread]", results: "queue.Queue[ImageResult | None]"
) -> Iterator[list[ImageResult]]:
    running = len(drivers)
    while running:
        found: list[ImageResult] = []
        for result in _drain(results, wait=POLL_SECONDS):
            if result is None:
                running -= 1
            else:
                found.append(result)
        yield found
        for driver in drivers:
            if driver.error is not None:
                raise driver.error


def _drain(
    results: "queue.Queue[ImageResult | None]", *, wait: float | None = None
) -> Iterator[ImageResult | None]:
    """What is in the queue; of an empty one what comes first, if it comes in time."""
    try:
        while True:
            yield results.get(block=wait is not None, timeout=wait)
            wait = None
    except queue.Empty:
        return


class _Tasks:
    """The images that nobody has taken yet."""

    def __init__(self, images: Sequence[BatchImage]) -> None:
        self._images = deque(images)
        self._lock = threading.Lock()

    def take(self) -> BatchImage | None:
        with self._lock:
            return self._images.popleft() if self._images else None


class WorkerThread(threading.Thread):
    """Keeps one worker busy.

    Args:
        worker: not started yet.
        tasks: shared with the other drivers.
        results: where they go, and None when there are no more.
        window: how many images the worker has at a time.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        tasks: _Tasks,
        results: "queue.Queue[ImageResult | None]",
        *,
        window: int,
    ) -> None:
        super().__init__(daemon=True)
        self.worker = worker
        self.error: Exception | None = None
        self._tasks = tasks
        self._results = results
        self._window = window
        self._is_ending = False
        self._deaths = 0  # since the last image that was done

    def end(self) -> None:
        """Makes the thread end soon, whatever it waits for."""
        self._is_ending = True
        self.worker.kill()

    def run(self) -> None:
        try:
            self.worker.start()
            while not self._is_ending and (lost := self._work()):
                self._restart()
                for image in lost:
                    self._try_alone(image)
        except Exception as error:  # shown by the thread that collects
            if not self._is_ending:
                self.error = error
        finally:
            self.worker.stop()
            self._results.put(None)

    def _work(self) -> list[BatchImage]:
        """Until nothing is left, or the worker dies: then the images that it had."""
        given: dict[str, BatchImage] = {}
        try:
            while True:
                while len(given) < self._window and (image := self._tasks.take()):
                    given[image.id] = image
                    self.worker.send(image)
                if not given:
                    return []
                del given[self._deliver().image_id]
        except WorkerDiedError:
            if self._is_ending:
                raise
            return list(given.values())

    def _try_alone(self, image: BatchImage) -> None:
        """So that it is known which image it was, if the worker dies again."""
        if self._is_ending:
            return
        try:
            self.worker.send(image)
            self._deliver()
        except WorkerDiedError as error:
            if self._is_ending:
                raise
            facts = self.worker.facts
            self._results.put(failed_result(image, type(error).__name__, str(error), facts=facts))
            self._restart()

    def _deliver(self) -> ImageResult:
        result = self.worker.receive()
        if not isinstance(result, ImageResult):
            raise RuntimeError(f"expected a result of a worker, got {result!r:.100}")
        self._results.put(result)
        self._deaths = 0
        return result

    def _restart(self) -> None:
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise RuntimeError(
                f"a worker ended {self._deaths} times without an image done; see {self.worker.log}"
            )
        self.worker.start()
