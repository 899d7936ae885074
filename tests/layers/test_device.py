"""The kind of device of each backend."""

import keras
import pytest

from keras_sam.layers.device import backend_is_on_cpu


@pytest.mark.parametrize("has_accelerator", [False, True])
def test_jax_and_tensorflow_use_an_accelerator_if_there_is_one(monkeypatch, has_accelerator):
    backend = keras.backend.backend()
    if backend == "jax":
        monkeypatch.setattr("jax.default_backend", lambda: "gpu" if has_accelerator else "cpu")
    elif backend == "tensorflow":
        devices = ["/device:GPU:0"] if has_accelerator else []
        monkeypatch.setattr("tensorflow.config.list_logical_devices", lambda kind: devices)
    uses_accelerator = has_accelerator and backend in ("jax", "tensorflow")
    assert backend_is_on_cpu() is not uses_accelerator
