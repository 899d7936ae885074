"""`main`: a process that has a model. It receives images from a pipe and sends results to another.

It is started as a program of its own, so that its environment is set before Keras is imported:
the backend and the number of threads.
"""

import os
import pickle
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import DecodedImage, decode_image
from keras_sam.batch.image_result import ErrorInfo, ImageResult, Provenance

if TYPE_CHECKING:
    from keras_sam.batch.image_processor import ImageProcessor

DecodingQueue = queue.SimpleQueue[Future[DecodedImage] | None]


@dataclass(frozen=True)
class WorkerSettings:
    """First message to a worker.

    Attributes:
        settings: Options of the batch.
        decode_threads: Number of threads that decode files.
        model_threads: Number of threads that share the model. With two, one postprocesses masks
            while the other uses the device.
    """

    settings: BatchSettings
    decode_threads: int = 2
    model_threads: int = 1


@dataclass(frozen=True)
class WorkerReady:
    """Message of a worker that has loaded its model.

    Attributes:
        provenance: Model and package versions.
    """

    provenance: Provenance


@dataclass(frozen=True)
class WorkerFailed:
    """Message of a worker that could not load its model. The worker then ends.

    Attributes:
        error: Error.
    """

    error: ErrorInfo


Message = WorkerReady | WorkerFailed | ImageResult


def main() -> None:
    """Work until the end of standard input. Messages are written to standard output."""
    inputs, outputs = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the messages
    lock = threading.Lock()

    def send(message: Message) -> None:
        data = pickle.dumps(message)
        with lock:
            try:
                outputs.write(data)
                outputs.flush()
            except BrokenPipeError:  # the parent process has ended
                os._exit(1)

    work(lambda: _receive(inputs), send)
    outputs.close()


def work(receive: Callable[[], Any], send: Callable[[Message], None]) -> None:
    """Decode images ahead, predict their masks, and send each result when it is ready.

    Args:
        receive: Function that returns `WorkerSettings`, then each `BatchImage`, then `None`.
        send: Function that sends a message. It is called from several threads.
    """
    worker: WorkerSettings = receive()
    try:
        from keras_sam.batch.load_processors import load_processors

        processors = load_processors(worker.settings, worker.model_threads)
    except Exception as exception:  # the parent process reports it, whatever it is
        send(WorkerFailed(ErrorInfo.from_exception(exception)))
        return
    send(WorkerReady(processors[0].provenance))
    decoded: DecodingQueue = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_process_all, args=(processor, decoded, send))
        for processor in processors
    ]
    for thread in threads:
        thread.start()
    max_pixels = worker.settings.max_pixels
    with ThreadPoolExecutor(worker.decode_threads) as decoders:
        while (image := receive()) is not None:
            decoded.put(decoders.submit(decode_image, image, max_pixels=max_pixels))
        for _ in threads:
            decoded.put(None)
        for thread in threads:
            thread.join()


def _process_all(
    processor: "ImageProcessor", decoded: DecodingQueue, send: Callable[[Message], None]
) -> None:
    while (future := decoded.get()) is not None:
        send(processor.process(future.result()))
        del future  # release the pixels before waiting for the next image


def _receive(inputs: BinaryIO) -> Any:
    try:
        return pickle.load(inputs)
    except EOFError:
        return None
