"""Training on two devices: the result of one device, errors, and callbacks."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_sam.train.embedding_cache import CachedBatches
from keras_sam.train.fit_on_devices import count_devices, fit_on_devices
from keras_sam.train.mask_batches import MaskBatches
from tests.train.two_devices import (
    BACKEND,
    ENVIRONMENT,
    build_model,
    cached_batches,
    labeled_images,
    train,
)

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning"),
]


@pytest.fixture
def run_scenario(tmp_path):
    """The function `train`, in a process with two virtual devices except with torch."""

    def run(scenario):
        if BACKEND == "torch":
            return train(scenario)
        path = tmp_path / "results.npz"
        command = [sys.executable, "-m", "tests.train.two_devices", scenario, str(path)]
        run = subprocess.run(
            command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        results = {}
        with np.load(path) as arrays:
            for key in arrays:
                name, value = key.split("/")
                results.setdefault(name, {})[value] = arrays[key]
        return results

    return run


# Each process takes half a minute with JAX and TensorFlow, so they run one.
@pytest.mark.parametrize("scenario", ["cached", "images"] if BACKEND == "torch" else ["cached"])
def test_two_devices_train_as_one(run_scenario, scenario):
    results = run_scenario(scenario)
    one, two = results["1"]["weights"], results["2"]["weights"]
    np.testing.assert_allclose(two, one, atol=1e-5)
    if scenario == "cached":
        assert np.abs(one - results["start"]["weights"]).max() > 1e-2
    else:  # no batch is filled, so the means of the logs are those of the same images
        assert results["2"]["loss"] == pytest.approx(results["1"]["loss"], rel=1e-5)


# With JAX, one program draws the random numbers of the whole batch.
@pytest.mark.skipif(BACKEND == "jax", reason="replicas of TensorFlow and torch")
def test_devices_draw_other_prompts_and_the_same_when_repeated(run_scenario):
    """If two devices drew the same prompts, two equal images would train as one."""
    results = run_scenario("prompts")
    one, two = results["one image"], results["that image twice"]
    assert abs(two["loss"] - one["loss"]) > 1e-5
    assert results["again"]["loss"] == pytest.approx(two["loss"], rel=1e-6)
    np.testing.assert_allclose(results["again"]["weights"], two["weights"], atol=1e-6)


def test_wrong_numbers_of_devices_raise(tmp_path, monkeypatch):
    model = build_model()
    count = count_devices()
    cached = CachedBatches([[tmp_path / "not read"]], batch_size=3)
    with pytest.raises(ValueError, match=rf"has {count} devices? here, got devices={count + 1}"):
        fit_on_devices(model, cached, devices=count + 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fit_on_devices(model, cached, devices=0)
    monkeypatch.setitem(fit_on_devices.__globals__, "count_devices", lambda: 2)
    for batches in (cached, MaskBatches(labeled_images(tmp_path, [1]), batch_size=3)):
        with pytest.raises(ValueError, match="multiple of the number of devices, 2, got 3"):
            fit_on_devices(model, batches, devices=2)


def test_one_device_is_fit_itself(tmp_path):
    batches = cached_batches(tmp_path, [1, 2], batch_size=2)
    model = build_model(run_eagerly=BACKEND != "jax")
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    history = fit_on_devices(model, batches, epochs=3, initial_epoch=1, callbacks=[callback])
    assert seen == history.epoch == [1, 2]
