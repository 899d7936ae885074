"""The engine of the current backend."""

import keras
import pytest

from keras_sam.engines.create_engine import create_engine, engine_name
from keras_sam.engines.engine import Engine
from keras_sam.engines.int8_encoder import Int8Encoder

INT8_ENCODER = Int8Encoder(b"", b"", "fingerprint of another model")


def test_the_engine_belongs_to_the_backend(segmenter):
    engine = create_engine(segmenter)
    assert isinstance(engine, Engine)
    assert engine.model is segmenter
    assert type(engine).__name__ == engine_name()
    assert engine_name().lower() == f"{keras.backend.backend()}engine"


def test_a_backend_without_an_engine_is_an_error(segmenter, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    for call in (engine_name, lambda: create_engine(segmenter)):
        with pytest.raises(ValueError, match=r"backends \['jax', .*\], got numpy"):
            call()


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_an_int8_encoder_needs_openvino(segmenter, monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(ValueError, match=f"needs the OpenVINO backend, got {backend}"):
        create_engine(segmenter, INT8_ENCODER)


@pytest.mark.openvino
def test_an_int8_encoder_of_another_model_is_an_error(segmenter):
    with pytest.raises(ValueError, match="made for another model or image size"):
        create_engine(segmenter, INT8_ENCODER)
