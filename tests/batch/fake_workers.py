"""Workers without a model, or in this process: for tests of what surrounds them.

As a program it runs a batch, slowly: something to be killed.
"""

import queue
import sys
import threading
import time
import types
from datetime import UTC, datetime

from keras_sam.batch import local_runner
from keras_sam.batch.image_result import ImageResult
from keras_sam.batch.part_writer import PartLimits
from keras_sam.batch.run_batch import run_batch
from keras_sam.batch.worker import WorkerFailed, work
from keras_sam.batch.worker_process import WorkerDiedError
from keras_sam.masks.coco_rle import mask_to_coco_rle
from keras_sam.masks.measures import mask_to_box

FACTS = {"preset": "fake", "revision": "f" * 16, "backend": "none"}


class InlineWorker:
    """A worker that is a thread of this process."""

    def __init__(self, settings, *, log, environment=None):
        self.settings, self.log, self.facts = settings, log, {}

    def start(self):
        self.inputs, self.outputs = queue.Queue(), queue.Queue()
        self.inputs.put(self.settings)
        thread = threading.Thread(target=work, args=(self.inputs.get, self.outputs.put))
        thread.start()
        ready = self.receive()
        if isinstance(ready, WorkerFailed):
            raise RuntimeError(ready.error)
        self.facts = ready.facts

    def send(self, image):
        self.inputs.put(image)

    def receive(self):
        result = self.outputs.get()
        if result is None:
            raise WorkerDiedError("the worker was ended")
        return result

    def stop(self):
        self.inputs.put(None)

    def kill(self):
        self.inputs.put(None)
        self.outputs.put(None)


class FakeMasker:
    """Its masks are the pixels over some limits."""

    def __init__(self, seconds=0.0):
        self.facts, self.seconds = FACTS, seconds

    def mask(self, image, pixels, decode_seconds):
        time.sleep(self.seconds)
        masks = []
        for limit in (64, 128, 192):
            mask = pixels[..., 0] > limit
            masks.append(
                {
                    "segmentation": mask_to_coco_rle(mask),
                    "area": int(mask.sum()),
                    "bbox": mask_to_box(mask).tolist(),
                    "predicted_iou": limit / 255,
                    "stability_score": 1.0,
                    "point_coords": [[0.0, 0.0]],
                    "crop_box": [0, 0, *mask.shape[::-1]],
                }
            )
        size, now = pixels.shape[:2], datetime.now(UTC)
        return ImageResult(image.id, image.path, now, masks, size, facts=self.facts)


def use_inline_workers(set_attribute=setattr):
    set_attribute(local_runner, "WorkerProcess", InlineWorker)


def fake_module(seconds=0.0):
    """In place of `keras_sam.batch.load_processors`."""
    module = types.ModuleType("keras_sam.batch.load_processors")
    module.load_processors = lambda settings, count: [FakeMasker(seconds) for _ in range(count)]
    return module


def main():
    source, output, seconds = sys.argv[1:]
    use_inline_workers()
    sys.modules["keras_sam.batch.load_processors"] = fake_module(float(seconds))
    run_batch(source, output, limits=PartLimits(seconds=0))
    assert "keras" not in sys.modules


if __name__ == "__main__":
    main()
