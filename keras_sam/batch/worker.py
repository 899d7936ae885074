"""The process that has a model: images come in through a pipe, results go out through another.

It is started as a program of its own, so that its environment, which decides the backend and the
number of threads, is set before Keras is imported.
"""

import os
import pickle
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from keras_sam.batch.batch_image import BatchImage
from keras_sam.batch.batch_settings import BatchSettings
from keras_sam.batch.decode_image import decode_image
from keras_sam.batch.image_result import ImageResult, failed_result, one_line

if TYPE_CHECKING:
    import numpy as np

    from keras_sam.batch.image_processor import ImageProcessor


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker works; which masks it finds is the matter of `settings`.

    Attributes:
        settings: of the batch.
        decode_threads: that read files into pixels.
        model_threads: that share the model; with two, the one computes while the other draws.
    """

    settings: BatchSettings
    decode_threads: int = 2
    model_threads: int = 1


@dataclass(frozen=True)
class Ready:
    """A worker has its model.

    Attributes:
        facts: what its results tell of it.
    """

    facts: dict[str, str]


@dataclass(frozen=True)
class WorkerFailed:
    """A worker has no model, and ends.

    Attributes:
        error_type: class of the exception.
        error: what it says.
    """

    error_type: str
    error: str


Message = Ready | WorkerFailed | ImageResult


def main() -> None:
    """Works through the standard pipes until the one it reads from ends."""
    inputs, outputs = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the messages
    lock = threading.Lock()

    def send(message: Message) -> None:
        data = pickle.dumps(message)
        with lock:
            try:
                outputs.write(data)
                outputs.flush()
            except BrokenPipeError:  # whoever wanted it is gone
                os._exit(1)

    work(lambda: _receive(inputs), send)
    outputs.close()


def work(receive: Callable[[], Any], send: Callable[[Message], None]) -> None:
    """Decodes images ahead, finds their masks, and sends each result as soon as it is there.

    Args:
        receive: gives `WorkerSettings`, then `BatchImage`s, then None.
        send: takes messages; from several threads.
    """
    worker: WorkerSettings = receive()
    try:
        from keras_sam.batch.load_processors import load_processors

        maskers = load_processors(worker.settings, worker.model_threads)
    except Exception as error:  # of any kind: the other side tells the user
        send(WorkerFailed(type(error).__name__, one_line(error)))
        return
    send(Ready(maskers[0].facts))
    decoded: queue.SimpleQueue[_Decoding | None] = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_mask_all, args=(masker, decoded, send)) for masker in maskers
    ]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(worker.decode_threads) as decoders:
        while (image := receive()) is not None:
            pixels = decoders.submit(_decode, image, worker.settings.max_pixels)
            decoded.put(_Decoding(image, pixels))
        for _ in threads:
            decoded.put(None)
        for thread in threads:
            thread.join()


@dataclass
class _Decoding:
    image: BatchImage
    pixels: "Future[tuple[np.ndarray, float]]"


def _mask_all(
    masker: "ImageProcessor",
    decoded: "queue.SimpleQueue[_Decoding | None]",
    send: Callable[[Message], None],
) -> None:
    while (task := decoded.get()) is not None:
        try:
            pixels, seconds = task.pixels.result()
        except Exception as error:  # decoders raise whatever they like
            name, text = type(error).__name__, one_line(error)
            send(failed_result(task.image, name, text, facts=masker.facts))
            continue
        send(masker.mask(task.image, pixels, seconds))
        del task, pixels  # not held while the next is waited for


def _decode(image: BatchImage, max_pixels: int) -> "tuple[np.ndarray, float]":
    started = time.perf_counter()
    pixels = decode_image(image.path, max_pixels=max_pixels)
    return pixels, time.perf_counter() - started


def _receive(inputs: BinaryIO) -> Any:
    try:
        return pickle.load(inputs)
    except EOFError:
        return None
