"""Training that is stopped at any time and resumed."""

import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_sam.files.safetensors_file import load_safetensors
from keras_sam.losses import InteractiveSegmentationLoss
from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.training_state import FORMAT, TrainingState

pytestmark = pytest.mark.training

BOXES = np.array([[[[5, 10], [50, 40]]]] * 2, "float32")


def train(tiny_segmenter, path, epochs, *, fingerprint=None, on_epoch_end=None):
    """Train for some epochs, from the file if there is one, and return the logs of all epochs."""
    model = tiny_segmenter(0)
    model.set_trained_part("decoder")
    loss = InteractiveSegmentationLoss(correction_rounds=1)
    model.compile(keras.optimizers.AdamW(1e-3), loss=loss, run_eagerly=True)
    masks = np.zeros((2, 2, 64, 64), "uint8")
    masks[:, 0, 10:40, 5:50] = masks[:, 1, 30:60, 30:60] = 1
    images = {"images": np.random.default_rng(0).random((2, 64, 64, 3), dtype="float32")}

    def evaluate():
        outputs = model.decode(model.encode_image(images["images"]), boxes=BOXES)
        return {"iou": float(keras.ops.convert_to_numpy(outputs["iou_pred"]).mean())}

    validation = MaskValidation(evaluate, warn=lambda message: None)
    state = TrainingState(path, validation, seed=1, fingerprint=fingerprint or {"lr": 1e-3})
    state.restore(model)
    callbacks = [validation, state]
    if on_epoch_end is not None:
        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end))
    model.fit(
        images, masks, epochs=epochs, initial_epoch=state.epoch, callbacks=callbacks, verbose=0,
        shuffle=False,
    )  # fmt: skip
    return state.logs, [keras.ops.convert_to_numpy(w) for w in model.trainable_variables]


def assert_equal_logs(found, expected):
    """Rounding depends on where arrays lie in memory, and a random model amplifies it."""
    for logs, other in zip(found, expected, strict=True):
        assert logs == pytest.approx(other, rel=1e-3)


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_segmenter, tmp_path):
    expected, expected_weights = train(tiny_segmenter, tmp_path / "a.safetensors", 4)
    train(tiny_segmenter, tmp_path / "b.safetensors", 2)
    found, weights = train(tiny_segmenter, tmp_path / "b.safetensors", 4)
    assert_equal_logs(found, expected)
    assert [logs["epoch"] for logs in found] == [1, 2, 3, 4]
    assert len({logs["loss"] for logs in found}) == 4
    for actual, other in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(actual, other, atol=1e-3)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.tiny_model import build_segmenter
from tests.train.test_training_state import train

def kill(epoch, logs):
    if epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

train(build_segmenter, Path(sys.argv[1]), 4, on_epoch_end=kill)
"""


def test_a_killed_run_equals_an_uninterrupted_one(tiny_segmenter, tmp_path):
    path = tmp_path / "b.safetensors"
    run = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=os.environ, check=False)
    assert run.returncode == -signal.SIGKILL
    found, _ = train(tiny_segmenter, path, 4)
    expected, _ = train(tiny_segmenter, tmp_path / "a.safetensors", 4)
    assert_equal_logs(found, expected)


def test_another_runs_file_is_refused(tiny_segmenter, tmp_path):
    path = tmp_path / "run" / "state.safetensors"
    path.parent.mkdir()
    train(tiny_segmenter, path, 1)
    with pytest.raises(ValueError, match=r"run with other settings \(lr, rank\)"):
        train(tiny_segmenter, path, 2, fingerprint={"lr": 1, "rank": 3})
    arrays = load_safetensors(path, FORMAT, lambda arrays, _: arrays, description="a state")
    assert not any("image_encoder" in name for name in arrays)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        train(tiny_segmenter, path, 2)
