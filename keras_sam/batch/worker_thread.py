"""`WorkerThread`: supplies a worker process with images, and replaces it if it dies."""

import queue
import threading
from collections import deque
from collections.abc import Sequence

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.image_result import ErrorInfo, ImageResult
from keras_sam.batch.worker_process import WorkerProcess
from keras_sam.errors import WorkerDiedError

MAX_DEATHS = 5  # of a worker in a row, without a completed image

ResultQueue = queue.Queue[ImageResult | None]


class ImageQueue:
    """Images that no worker has taken yet. May be used from any thread.

    Args:
        images: Images in the order in which they are taken.
    """

    def __init__(self, images: Sequence[BatchImage]) -> None:
        self._images = deque(images)

    def take(self) -> BatchImage | None:
        """Remove and return the next image, or `None` if there is none."""
        try:
            return self._images.popleft()
        except IndexError:
            return None


class WorkerThread(threading.Thread):
    """Supplies a worker process with images.

    If the worker dies, it is replaced, and each image that it had is retried alone. An image
    whose worker dies again gets an error.

    Args:
        worker: Worker process, not started.
        images: Images, shared with other threads.
        results: Queue for the results, followed by `None` when the thread ends.
        max_in_flight: Maximum number of images that the worker has at a time.

    Attributes:
        error: Exception that ended the thread, or `None`.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        images: ImageQueue,
        results: ResultQueue,
        *,
        max_in_flight: int,
    ) -> None:
        super().__init__(daemon=True)
        self.worker = worker
        self.error: Exception | None = None
        self._images = images
        self._results = results
        self._max_in_flight = max_in_flight
        self._is_ending = False
        self._deaths = 0  # since the last completed image

    def end(self) -> None:
        """Kill the worker, so that the thread ends soon."""
        self._is_ending = True
        self.worker.kill()

    def run(self) -> None:
        """Process images until none is left."""
        try:
            self.worker.start()
            while not self._is_ending and (lost := self._process_images()):
                self._restart()
                for image in lost:
                    self._retry_alone(image)
        except Exception as error:  # reported by the thread that collects the results
            if not self._is_ending:
                self.error = error
        finally:
            self.worker.stop()
            self._results.put(None)

    def _process_images(self) -> list[BatchImage]:
        """Process images until none is left, or the worker dies. Return the images it had."""
        in_flight: dict[str, BatchImage] = {}
        try:
            while True:
                while len(in_flight) < self._max_in_flight and (image := self._images.take()):
                    in_flight[image.id] = image
                    self.worker.send(image)
                if not in_flight:
                    return []
                del in_flight[self._receive().image_id]
        except WorkerDiedError:
            if self._is_ending:
                raise
            return list(in_flight.values())

    def _retry_alone(self, image: BatchImage) -> None:
        """Process one image, so that another death of the worker is known to be its fault."""
        if self._is_ending:
            return
        try:
            self.worker.send(image)
            self._receive()
        except WorkerDiedError as error:
            if self._is_ending or self.worker.provenance is None:
                raise
            result = ImageResult(
                image_id=image.id,
                path=image.path,
                provenance=self.worker.provenance,
                error=ErrorInfo.from_exception(error),
            )
            self._results.put(result)
            self._restart()

    def _receive(self) -> ImageResult:
        """Wait for a result, and pass it on."""
        result = self.worker.receive()
        self._results.put(result)
        self._deaths = 0
        return result

    def _restart(self) -> None:
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            raise RuntimeError(
                f"a worker died {self._deaths} times without completing an image; see "
                f"{self.worker.log}"
            )
        self.worker.start()
