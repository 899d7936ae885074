"""Workers without a model, or in this process. As a program: a slow batch run, to be killed."""

import os
import queue
import signal
import sys
import threading
import time
import types
from pathlib import Path

from keras_sam.batch import run_local
from keras_sam.batch.image_result import BatchMask, ImageResult
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.run_local import LocalOptions
from keras_sam.batch.worker import WorkerFailed, work
from keras_sam.errors import WorkerDiedError
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_to_box
from tests.batch.sample_results import PROVENANCE


class InlineWorker:
    """A `WorkerProcess` that is a thread of this process."""

    def __init__(self, settings, *, log, environment):
        self.settings, self.log, self.provenance = settings, log, None

    def start(self):
        self.inputs, self.outputs = queue.Queue(), queue.Queue()
        self.inputs.put(self.settings)
        threading.Thread(target=work, args=(self.inputs.get, self.outputs.put)).start()
        message = self.outputs.get()
        if isinstance(message, WorkerFailed):
            raise RuntimeError(message.error.message)
        self.provenance = message.provenance

    def send(self, image):
        self.inputs.put(image)

    def receive(self):
        result = self.outputs.get()
        if result is None:
            raise WorkerDiedError("the worker was killed")
        return result

    def stop(self):
        self.inputs.put(None)

    def kill(self):
        self.inputs.put(None)
        self.outputs.put(None)


class FragileWorker(InlineWorker):
    """A worker that dies when it receives an image with "killer" in its name."""

    def start(self):
        self.is_dying = False
        super().start()

    def send(self, image):
        self.is_dying |= "killer" in image.id
        super().send(image)

    def receive(self):
        if self.is_dying:
            self.stop()
            raise WorkerDiedError("the worker process ended by signal 11")
        return super().receive()


class FakeProcessor:
    """An `ImageProcessor` whose masks are the pixels above three thresholds.

    An image with "kill_once" in its id kills the process, and is processed the next time. One
    with "wait" in its id waits until a file with the suffix `.go` exists.
    """

    def __init__(self, seconds=0.0):
        self.provenance, self.seconds = PROVENANCE, seconds

    def process(self, decoded):
        time.sleep(self.seconds)
        image = decoded.image
        if "kill_once" in image.id and not os.path.exists(image.path + ".killed"):
            Path(image.path + ".killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while "wait" in image.id and not os.path.exists(image.path + ".go"):
            time.sleep(0.05)
        masks = [] if decoded.pixels is None else self.masks(decoded.pixels[..., 0])
        return ImageResult(
            image.id, image.path, PROVENANCE, masks=tuple(masks), error=decoded.error
        )

    def masks(self, values):
        for threshold in (64, 128, 192):
            mask = values > threshold
            record = {
                "segmentation": mask_to_coco_rle(mask),
                "area": int(mask.sum()),
                "bbox": mask_to_box(mask).tolist(),
                "predicted_iou": threshold / 255,
                "stability_score": 1.0,
                "point_coords": [[0.0, 0.0]],
                "crop_box": [0, 0, *mask.shape[::-1]],
            }
            yield BatchMask(record)


def fake_module(seconds=0.0):
    """A replacement for `keras_sam.batch.load_processors`."""
    module = types.ModuleType("keras_sam.batch.load_processors")

    def load_processors(settings, count=1):
        if settings.preset == "missing":
            raise ValueError("there is no preset missing")
        return [FakeProcessor(seconds) for _ in range(count)]

    module.load_processors = load_processors
    return module


def replace_model(seconds=0.0):
    """Let workers in this process load no model."""
    sys.modules["keras_sam.batch.load_processors"] = fake_module(seconds)


def startup_environment():
    """Environment variables that let a new process load no model."""
    folder = Path(__file__).parent / "startup"
    return {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


def main():
    source, output, seconds = sys.argv[1:]
    run_local.WorkerProcess = InlineWorker
    replace_model(float(seconds))
    run_batch(source, output, options=LocalOptions(part_limits=PartLimits(max_seconds=0)))
    assert "keras" not in sys.modules


if __name__ == "__main__":
    main()
