"""Logs for TensorBoard, read back record by record."""

import struct
import sys

import keras
import numpy as np
import pytest

from keras_sam.train.mask_validation import MaskValidation
from keras_sam.train.tensorboard_logs import TensorBoardLogs, require_tensorboardx
from keras_sam.train.training_state import TrainingState

pytestmark = pytest.mark.training


@pytest.fixture
def event_pb2():
    return pytest.importorskip("tensorboardX.proto.event_pb2")


def read_scalars(event_pb2, folder):
    """Return name -> step -> value. A session hides earlier values from its first step on."""
    scalars = {}
    for path in sorted(folder.iterdir()):
        for event in read_events(event_pb2, path):
            if event.session_log.status == event.session_log.START:
                for steps in scalars.values():
                    for step in [step for step in steps if step >= event.step]:
                        del steps[step]
            for value in event.summary.value:
                steps = scalars.setdefault(value.tag, {})
                assert event.step not in steps
                steps[event.step] = value.simple_value
    return scalars


def read_events(event_pb2, path):
    """Read a file of TFRecords: length, checksum, data, checksum."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield event_pb2.Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def train(folder, scores, *, epochs):
    """Train with given validation metrics, from the state if there is one, and return it."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.prompt_seed_generator = None
    remaining = list(scores)
    validation = MaskValidation(lambda: {"box_iou": remaining.pop(0)}, warn=lambda message: None)
    state = TrainingState(folder / "state.safetensors", validation, seed=0, fingerprint={})
    state.restore(model)
    model.fit(
        np.ones((4, 2), "float32"),
        np.ones((4, 1), "float32"),
        epochs=epochs,
        initial_epoch=state.epoch,
        callbacks=[validation, state, TensorBoardLogs(folder / "logs", state)],
        verbose=0,
    )
    return state


def losses_by_epoch(state):
    return {logs["epoch"]: logs["loss"] for logs in state.logs}


def test_epochs_and_the_metrics_before_training_are_written(event_pb2, tmp_path):
    state = train(tmp_path, [0.5, 0.625, 0.75], epochs=2)
    found = read_scalars(event_pb2, tmp_path / "logs")
    assert set(found) == {"loss", "val_box_iou"}
    assert found["val_box_iou"] == {0: 0.5, 1: 0.625, 2: 0.75}
    assert found["loss"] == pytest.approx(losses_by_epoch(state))


def test_a_resumed_run_has_each_epoch_once(event_pb2, tmp_path):
    train(tmp_path, [0.5, 0.625], epochs=1)
    state = train(tmp_path, [0.75, 0.875], epochs=3)
    found = read_scalars(event_pb2, tmp_path / "logs")
    assert found["val_box_iou"] == {0: 0.5, 1: 0.625, 2: 0.75, 3: 0.875}
    assert found["loss"] == pytest.approx(losses_by_epoch(state))


def test_a_run_that_was_stopped_between_two_callbacks_has_each_epoch_once(event_pb2, tmp_path):
    train(tmp_path, [0.5, 0.625], epochs=1)
    state_of_epoch_1 = (tmp_path / "state.safetensors").read_bytes()
    train(tmp_path, [0.125], epochs=2)
    (tmp_path / "state.safetensors").write_bytes(state_of_epoch_1)
    train(tmp_path, [0.75], epochs=2)
    found = read_scalars(event_pb2, tmp_path / "logs")
    assert found["val_box_iou"] == {0: 0.5, 1: 0.625, 2: 0.75}


def test_a_missing_package_raises_before_training(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    state = TrainingState(tmp_path / "state", MaskValidation(dict), seed=0, fingerprint={})
    with pytest.raises(ImportError, match=r"pip install 'keras-sam\[tensorboard\]'"):
        TensorBoardLogs(tmp_path / "logs", state)
    with pytest.raises(ImportError, match="tensorboardX"):
        require_tensorboardx()
    assert not (tmp_path / "logs").exists()
