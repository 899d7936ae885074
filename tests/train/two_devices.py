"""Trains a tiny model on one device and on two, for `test_fit_on_devices.py`.

JAX and TensorFlow need two virtual devices, which exist only in a process that asks for them
before its first operation: `python -m tests.train.two_devices cached results.npz`.
"""

import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

BACKEND = os.environ.get("KERAS_BACKEND")
# XLA compiles faster without optimization.
ENVIRONMENT = {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_cpu_use_fusion_emitters=false",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "True",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def mask_at(index):
    mask = np.zeros((64, 64), bool)
    mask[4 * index : 20 + 4 * index, 8 : 30 + 3 * index] = True
    return mask


def labels(count):
    from keras_sam.annotations.labeled_dataset import LabeledMask

    return [LabeledMask("object", partial(mask_at, index)) for index in range(count)]


def labeled_images(folder, counts):
    """Images with `counts` masks each. The same counts have the same pixels."""
    from keras_sam.annotations.labeled_dataset import LabeledDataset, LabeledImage

    images = []
    for index, count in enumerate(counts):
        path = Path(folder) / f"{index}.png"
        pixels = np.random.default_rng(count).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        images.append(LabeledImage(path.name, path, partial(labels, count)))
    return LabeledDataset(tuple(images), "test", Path(folder))


def build_model(part="decoder", *, with_preprocessor=False, run_eagerly=False, **loss_arguments):
    """A compiled model. SGD does not amplify rounding, in contrast to Adam."""
    import keras

    from keras_sam.losses.interactive_segmentation_loss import InteractiveSegmentationLoss
    from tests.tiny_model import tiny_model

    model = tiny_model(num_layers=1)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.3, weight.shape).astype("float32"))
    if with_preprocessor:
        model = type(model).from_backbone(model.backbone)
    model.set_trained_part(part, lora_rank=2)
    loss = InteractiveSegmentationLoss(correction_rounds=0, seed=1, **loss_arguments)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1.0)
    model.compile(optimizer, loss=loss, run_eagerly=run_eagerly)
    return model


def cached_batches(folder, counts, **arguments):
    from keras_sam.train.embedding_cache import CachedBatches, cache_embeddings

    model = build_model(with_preprocessor=True)
    files = cache_embeddings(model, labeled_images(folder, counts), Path(folder) / "cache")
    return CachedBatches(files, masks_per_image=4, **arguments)


def image_batches(folder, counts, **arguments):
    from keras_sam.train.mask_batches import MaskBatches

    return MaskBatches(labeled_images(folder, counts), masks_per_image=4, **arguments)


def fit(model, batches, devices):
    """Train for two epochs, and return the loss of the last one and the trained weights."""
    import keras
    from keras import ops

    from keras_sam.train.fit_on_devices import fit_on_devices

    class CheckWeights(keras.callbacks.Callback):
        """Callbacks may use the given model, such as for validation."""

        def on_epoch_end(self, epoch, logs=None):
            for ours, theirs in zip(model.weights, self.model.weights, strict=True):
                np.testing.assert_array_equal(*map(ops.convert_to_numpy, (ours, theirs)))

    history = fit_on_devices(
        model, batches, devices=devices, epochs=2, callbacks=[CheckWeights()], verbose=0
    )
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 2 * len(batches)
    return {"loss": history.history["loss"][-1], "weights": trained_weights(model)}


def trained_weights(model):
    """All trained weights, one after another."""
    from keras import ops

    weights = [np.ravel(ops.convert_to_numpy(weight)) for weight in model.trainable_variables]
    return np.concatenate(weights)


def train(scenario):
    """Train as a scenario says, and return the results of each run by name."""
    run_eagerly = BACKEND == "tensorflow"  # faster than to trace a program
    boxes = {"box_probability": 1.0, "box_noise": 0.0}  # prompts without randomness
    with TemporaryDirectory() as folder:
        if scenario == "images":
            batches = image_batches(folder, [1, 3, 2, 2], batch_size=2)
            boxes |= {"part": "lora", "with_preprocessor": True, "run_eagerly": run_eagerly}
            return {str(n): fit(build_model(**boxes), batches, n) for n in (1, 2)}
        if scenario == "cached":  # the last batch has one image, for two devices
            batches = cached_batches(folder, [1, 3, 2], batch_size=2)
            return {
                "start": {"weights": trained_weights(build_model())},
                "1": fit(build_model(run_eagerly=run_eagerly, **boxes), batches, 1),
                "2": fit(build_model(**boxes), batches, 2),
            }
        random = {"box_probability": 0.5, "run_eagerly": run_eagerly}
        one = cached_batches(folder, [2], batch_size=1)
        two = cached_batches(folder, [2, 2], batch_size=2)
        return {
            "one image": fit(build_model(**random), one, 1),
            "that image twice": fit(build_model(**random), two, 2),
            "again": fit(build_model(**random), two, 2),
        }


def main(scenario, path):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    results = train(scenario)
    np.savez(path, **{f"{run}/{name}": v for run in results for name, v in results[run].items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
